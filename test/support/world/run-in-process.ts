/**
 * One process of the Worker's real code, in this process, that can be killed at any call it makes to the outside: before
 * the call, or after its effect and before its answer. From then on it does nothing any more, as if the machine were gone.
 */
import { app } from "../../../workers/app.ts"
import { world } from "./world.ts"

export interface KillPoint {
  /** Which call, counted from one. */
  readonly call: number
  readonly when: "before" | "after"
  /** That call alone is lost, and the process lives on. */
  readonly isSurvived?: boolean
}

class Killed extends Error {}

/** What became of a request: its status, or that the process died over it. `calls` counts what it asked of the outside. */
export interface Outcome {
  readonly status: number | "killed"
  readonly calls: number
  /** The same for one address. */
  readonly callsTo: (url: string) => number
}

/**
 * Runs one request in a process of its own, with everything that goes on after the answer, and kills it if told so. `vars`
 * stand over those of the world.
 */
export async function runInProcess(
  request: Request,
  kill: KillPoint | null,
  vars: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const real = globalThis.fetch
  let calls = 0
  const origins: string[] = []
  let isDead = false
  globalThis.fetch = async (...args: Parameters<typeof fetch>) => {
    if (isDead) throw new Killed("dead")
    calls += 1
    origins.push(new URL(args[0] instanceof Request ? args[0].url : args[0]).origin)
    const isTheOne = kill?.call === calls
    if (isTheOne && kill.when === "before") {
      isDead = !kill.isSurvived
      throw new Killed("killed before the call")
    }
    const response = await real(...args)
    if (isTheOne) {
      await response.arrayBuffer()
      isDead = !kill.isSurvived
      throw new Killed("killed after the call")
    }
    return response
  }
  const afterwards: Promise<unknown>[] = []
  const context = {
    waitUntil: (work: Promise<unknown>) => void afterwards.push(work.catch(() => undefined)),
    passThroughOnException: () => undefined,
    props: {},
  }
  try {
    const response = await app.fetch(request, { ...world().vars, ...vars }, context)
    for (let done = 0; done < afterwards.length; done++) await afterwards[done]
    const callsTo = (url: string) => origins.filter((origin) => origin === new URL(url).origin).length
    return { status: isDead ? "killed" : response.status, calls, callsTo }
  } finally {
    globalThis.fetch = real
  }
}
