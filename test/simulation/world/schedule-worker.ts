/** The Worker of one process: starts isolates that use the world of the current run. */
import { type Bundle, isolateFactory, type WorkerModule } from "./bundle.ts"
import { makeSeams, type SeamSources } from "./seams.ts"
import { VARS } from "./targets.ts"

/** Runs follow one another in a process; the replaced globals use the current one. */
export interface ScheduleWorker {
  /** An isolate that is reused by runs without faults and without passing time. */
  readonly steady: () => { readonly module: WorkerModule; readonly env: object }
  /** Creates an isolate. */
  readonly makeIsolate: () => WorkerModule
  enter(sources: SeamSources): void
}

/** Compiles a bundle once. */
export function makeScheduleWorker(bundle: Bundle): ScheduleWorker {
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
  const makeIsolate = isolateFactory(bundle, seams)
  let steady: { readonly module: WorkerModule; readonly env: object } | null = null
  return {
    makeIsolate,
    steady() {
      steady ??= { module: makeIsolate(), env: { ...VARS } }
      return steady
    },
    enter(next) {
      sources?.end()
      sources = next
    },
  }
}
