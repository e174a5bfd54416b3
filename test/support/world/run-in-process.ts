/**
 * Runs the Worker's code in this process and kills it at any outgoing call: before the call, or after its effect and before
 * its answer. From then on it has no effect, as if the machine had failed.
 */
import { app } from "../../../workers/app.ts"
import { world } from "./world.ts"

export interface KillPoint {
  /** Which call, counted from one. */
  readonly call: number
  readonly when: "before" | "after"
  /** Only that call is lost; the process continues. */
  readonly isOnlyCallLost?: boolean
}

class Killed extends Error {}

/** The result of a request: its status, or that the process was killed. `calls` counts outgoing calls. */
export interface Outcome {
  readonly status: number | "killed"
  readonly calls: number
  /** Outgoing calls to one origin. */
  readonly callsTo: (url: string) => number
}

/**
 * Runs one request as a separate process, including the work after the answer, and kills it at `kill`. `vars` override those
 * of the world.
 */
export async function runInProcess(
  request: Request,
  kill: KillPoint | null,
  vars: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const real = globalThis.fetch
  let calls = 0
  const origins: string[] = []
  let isKilled = false
  globalThis.fetch = async (...args: Parameters<typeof fetch>) => {
    if (isKilled) throw new Killed("dead")
    calls += 1
    origins.push(new URL(args[0] instanceof Request ? args[0].url : args[0]).origin)
    const isKillPoint = kill?.call === calls
    if (isKillPoint && kill.when === "before") {
      isKilled = !kill.isOnlyCallLost
      throw new Killed("killed before the call")
    }
    const response = await real(...args)
    if (isKillPoint) {
      await response.arrayBuffer()
      isKilled = !kill.isOnlyCallLost
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
    return { status: isKilled ? "killed" : response.status, calls, callsTo }
  } finally {
    globalThis.fetch = real
  }
}
