/** The Worker of one process: starts isolates that use the world of the current run. */
import { evaluatePackages, type IsolateParts, isolateFactory, type Packages } from "./bundle.ts"
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

/** The run that the replaced globals use now. */
let sources: SeamSources | null = null
const current = (): SeamSources => {
  if (sources === null) throw new Error("the Worker runs outside of any run")
  return sources
}

const SEAMS = makeSeams({
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

/** Evaluates packages, for any number of bundles of the Worker that use them. */
export const loadPackages = (libraries: string): Packages => evaluatePackages(libraries, SEAMS)

/** Evaluates the Worker's modules once, or with `evaluatesModules` for each isolate. */
export function makeScheduleWorker(app: string, packages: Packages, { evaluatesModules = false } = {}): ScheduleWorker {
  const newIsolate = isolateFactory(app, packages, SEAMS, {
    moduleState: () => current().moduleState(),
    evaluatesModules,
  })
  // One environment for all: the Worker parses it once per object, which takes a millisecond, and nothing of it changes.
  const makeIsolate = (): NewIsolate => ({ ...newIsolate(), env: VARS })
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
