/** Tests mutants: runs against a Worker with one guard removed, until one run notices it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { currentFunctions } from "../../../db/functions.ts"
import { ROOT } from "../../steps.ts"
import type { Scenario } from "../actors/scenarios.ts"
import { crashEverywhere, type FlowResult, runFlow } from "../crash-points.ts"
import { FLOWS, type Flow } from "../flows.ts"
import { exploreOrders, resultOfGivenOrder, SCENARIOS_WITH_ORDER, type Timing } from "../orders.ts"
import { type RunParts, runSchedule } from "../run.ts"
import { type AppBundler, type Packages, type Patch, patched } from "../world/bundle.ts"
import { makeScheduleWorker } from "../world/schedule-worker.ts"
import type { DetectionPlan, Mutant } from "./mutant-list.ts"

/** The maximum of schedules for one mutant. */
const SCHEDULES_MAX = 300

/** The Worker with all its guards, with which a mutant is compared; results are cached. */
export class RealWorker {
  readonly parts: RunParts
  readonly packages: Packages
  readonly bundler: AppBundler
  readonly #flows = new Map<string, FlowResult>()
  readonly #orders = new Map<string, string>()

  constructor(parts: RunParts, packages: Packages, bundler: AppBundler) {
    this.parts = parts
    this.packages = packages
    this.bundler = bundler
  }

  /** The result of a flow without crashes. */
  async flow(flow: Flow): Promise<FlowResult> {
    const result = this.#flows.get(flow.name) ?? (await runFlow(flow, [], this.parts))
    this.#flows.set(flow.name, result)
    return result
  }

  /** The final state of a scenario; one order is enough, since all end alike. */
  async orders(scenario: Scenario, timing: Timing): Promise<string> {
    const key = `${scenario.name} ${timing}`
    const state = this.#orders.get(key) ?? (await resultOfGivenOrder(scenario, timing, this.parts))
    this.#orders.set(key, state)
    return state
  }
}

export interface KilledMutant {
  readonly guard: string
  readonly where: string
  /** What noticed it; null: nothing did. */
  readonly by: string | null
  readonly fault: string | null
  /** Number of flows, scenarios and schedules that were run. */
  readonly runs: number
}

/** Runs until the mutant is noticed or everything was tried. */
export async function killMutant(mutant: Mutant, real: RealWorker): Promise<KilledMutant> {
  const { database, scheduleWorker: reference } = real.parts
  // A mutant of the database alone has the same Worker, whose code is already optimized.
  const scheduleWorker =
    mutant.code === undefined
      ? reference
      : makeScheduleWorker((await real.bundler.bundle(mutant.code)).app, real.packages)
  const parts: RunParts = { database, scheduleWorker, reference, patches: schemaOf(mutant) }
  const where = [...(mutant.code ?? []), ...(mutant.functions ?? [])].map(({ file }) => file)
  const kill = { guard: mutant.guard, where: [...new Set(where)].join(", ") || (mutant.tables ?? []).join("; ") }
  let runs = 0
  for (const attempt of attempts(mutant.first, real)) {
    runs += 1
    const fault = await attempt.play(parts).catch((error: unknown) => `the Worker breaks: ${String(error)}`)
    if (fault !== null) return { ...kill, by: attempt.name, fault, runs }
  }
  return { ...kill, by: null, fault: null, runs }
}

interface Attempt {
  readonly name: string
  play(parts: RunParts): Promise<string | null>
}

/** First what is known to need the guard, then everything else. */
function* attempts(first: DetectionPlan, real: RealWorker): Generator<Attempt> {
  const flows = FLOWS.map((flow): Attempt & { readonly of: DetectionPlan } => ({
    of: { kind: "crashes", flow: flow.name },
    name: `crash points of "${flow.name}"`,
    play: async (parts) => (await crashEverywhere(flow, parts, await real.flow(flow))).faults[0] ?? null,
  }))
  const scenarios = SCENARIOS_WITH_ORDER.flatMap((scenario) =>
    (["tied", "apart"] as const).map((timing): Attempt & { readonly of: DetectionPlan } => ({
      of: { kind: "orders", scenario: scenario.name },
      name: `orders of "${scenario.name}", ${timing}`,
      play: async (parts) => (await exploreOrders(scenario, timing, parts)).faults[0] ?? null,
    })),
  )
  const isFirst = (attempt: { readonly of: DetectionPlan }): boolean =>
    JSON.stringify(attempt.of) === JSON.stringify(first)
  yield* [...flows, ...scenarios].filter(isFirst)
  for (let seed = 1; seed <= SCHEDULES_MAX; seed++) {
    yield { name: `seed ${seed}`, play: async (parts) => (await runSchedule(seed, parts)).violations[0] ?? null }
  }
  yield* [...flows, ...scenarios].filter((attempt) => !isFirst(attempt))
}

/** The statements that remove the guard in the database during a run. */
const schemaOf = ({ functions = [], tables = [] }: Mutant): string[] => [
  ...tables,
  ...patchedFunctions(functions).map((text) => text.trim().replace(/;$/, "")),
]

/** The files of functions with the changes made, each one statement. Throws for a function that the database does not have. */
export function patchedFunctions(patches: readonly Patch[]): string[] {
  const texts = new Map<string, string>()
  const files = new Set([...currentFunctions().values()].map(({ file }) => file))
  for (const patch of patches) {
    if (!files.has(patch.file)) {
      throw new Error(`${patch.file} is not a database function`)
    }
    texts.set(patch.file, patched(texts.get(patch.file) ?? readFileSync(join(ROOT, patch.file), "utf8"), patch))
  }
  return [...texts.values()]
}

/** Throws if a place in the list is not in the code exactly once. */
export function checkMutantLocations({ code = [], functions = [] }: Mutant): void {
  patchedFunctions(functions)
  const texts = new Map<string, string>()
  for (const patch of code) {
    texts.set(patch.file, patched(texts.get(patch.file) ?? readFileSync(join(ROOT, patch.file), "utf8"), patch))
  }
}
