/** The Worker of one process: starts isolates that use the world of the current run. */
import { type Bundle, type IsolateParts, isolateFactory } from "./bundle.ts"
import { makeSeams, type SeamSources } from "./seams.ts"
import { VARS } from "./targets.ts"

type NewIsolate = IsolateParts & { readonly env: object }

/** Runs follow one another in a process; the replaced globals use the current one. */
export interface ScheduleWorker {
  /** An isolate that is reused by runs without faults and without passing time. */
  readonly steady: () => NewIsolate
  /** Creates an isolate. */
  readonly makeIsolate: () => NewIsolate
  enter(sources: SeamSources): void
}

/** Evaluates a bundle once, or with `evaluatesModules` for each isolate. */
export function makeScheduleWorker(bundle: Bundle, { evaluatesModules = false } = {}): ScheduleWorker {
  let sources: SeamSources | null = null
  const current = (): SeamSources => {
    if (sources === null) throw new Error("the Worker runs outside of any run")
    return sources
  }
  const seams = makeSeams({
    nowMs: () => sources?.nowMs() ?? 0,
    fetch: (input, init) => current().fetch(input, init),
    setTimer: (callback, delayMs) => current().setTimer(callback, delayMs),
    clearTimer: (id) => current().clearTimer(id),
    random: () => current().random(),
    fill: (bytes) => current().fill(bytes),
    cryptoBegins: () => current().cryptoBegins(),
    cryptoEnds: () => current().cryptoEnds(),
    log: (line) => current().log(line),
  })
  const newIsolate = isolateFactory(bundle, seams, { moduleState: () => current().moduleState(), evaluatesModules })
  const makeIsolate = (): NewIsolate => ({ ...newIsolate(), env: { ...VARS } })
  let steady: NewIsolate | null = null
  return {
    makeIsolate,
    steady() {
      steady ??= makeIsolate()
      return steady
    },
    enter(next) {
      sources?.end()
      sources = next
    },
  }
}
