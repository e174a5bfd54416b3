/** One process's Worker, ready to be started in as many isolates as a run needs, seeing the world of the run. */
import { type Bundle, isolateFactory, type WorkerModule } from "./bundle.ts"
import { makeSeams, type SeamSources } from "./seams.ts"
import { VARS } from "./targets.ts"

/** Runs follow one another in a process; the seams speak to the one that is being played. */
export interface ScheduleWorker {
  /** An isolate that lives on from run to run: for runs in which nothing goes wrong and no time passes. */
  readonly steady: () => { readonly module: WorkerModule; readonly env: object }
  /** What makes isolates for a run; from now on the seams are those of the given world. */
  readonly makeIsolate: () => WorkerModule
  enter(sources: SeamSources): void
}

/** Compiles a bundle once. */
export function makeScheduleWorker(bundle: Bundle): ScheduleWorker {
  let sources: SeamSources | null = null
  const current = (): SeamSources => {
    if (sources === null) throw new Error("the Worker runs outside any world")
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
