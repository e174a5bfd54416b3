/** Hunts mutants: plays runs against a Worker with one guard switched off until one of them shows that it is missing. */
import { readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { currentFunctions } from "../../../db/functions.ts"
import { ROOT } from "../../steps.ts"
import type { Scenario } from "../actors/scenarios.ts"
import { crashEverywhere, type FlowResult, runFlow } from "../crash-points.ts"
import { FLOWS, type Flow } from "../flows.ts"
import { exploreOrders, resultOfGivenOrder, SCENARIOS_WITH_ORDER, type Timing } from "../orders.ts"
import { type RunParts, runSchedule } from "../run.ts"
import { bundleApp, type Patch, patched } from "../world/bundle.ts"
import { makeScheduleWorker } from "../world/schedule-worker.ts"
import type { DetectionPlan, Mutant } from "./mutant-list.ts"

/** Schedules in which a missing guard must be noticed; the hunt ends there. */
const SCHEDULES_MAX = 300

/** The Worker with all its guards: what a mutant is compared with. What it was asked is remembered. */
export class RealWorker {
  readonly parts: RunParts
  readonly libraries: string
  readonly #flows = new Map<string, FlowResult>()
  readonly #orders = new Map<string, string>()

  constructor(parts: RunParts, libraries: string) {
    this.parts = parts
    this.libraries = libraries
  }

  /** How a flow goes without crashes. */
  async flow(flow: Flow): Promise<FlowResult> {
    const played = this.#flows.get(flow.name) ?? (await runFlow(flow, [], this.parts))
    this.#flows.set(flow.name, played)
    return played
  }

  /** Where a story ends: one order is enough, since all end there. */
  async orders(story: Scenario, timing: Timing): Promise<string> {
    const key = `${story.name} ${timing}`
    const end = this.#orders.get(key) ?? (await resultOfGivenOrder(story, timing, this.parts))
    this.#orders.set(key, end)
    return end
  }
}

export interface KilledMutant {
  readonly guard: string
  readonly where: string
  /** What noticed it, in words; null: nothing did. */
  readonly by: string | null
  readonly fault: string | null
  /** Flows, stories and schedules that were played. */
  readonly played: number
}

/** Plays until the mutant is noticed or everything was tried. */
export async function killMutant(mutant: Mutant, real: RealWorker): Promise<KilledMutant> {
  const { app } = await bundleApp(mutant.code ?? [])
  const { database, player: reference } = real.parts
  const player = makeScheduleWorker({ libraries: real.libraries, app })
  const parts: RunParts = { database, player, reference, patches: schemaOf(mutant) }
  const where = [...(mutant.code ?? []), ...(mutant.functions ?? [])].map(({ file }) => file)
  const kill = { guard: mutant.guard, where: [...new Set(where)].join(", ") || (mutant.tables ?? []).join("; ") }
  let played = 0
  for (const attempt of attempts(mutant.first, real)) {
    played += 1
    const fault = await attempt.play(parts).catch((error: unknown) => `the Worker breaks: ${String(error)}`)
    if (fault !== null) return { ...kill, by: attempt.name, fault, played }
  }
  return { ...kill, by: null, fault: null, played }
}

interface Attempt {
  readonly name: string
  play(parts: RunParts): Promise<string | null>
}

/** What is known to need the guard first, then everything else. */
function* attempts(first: DetectionPlan, real: RealWorker): Generator<Attempt> {
  const flows = FLOWS.map((flow): Attempt & { readonly of: DetectionPlan } => ({
    of: { kind: "crashes", flow: flow.name },
    name: `crash points of "${flow.name}"`,
    play: async (parts) => (await crashEverywhere(flow, parts, await real.flow(flow))).faults[0] ?? null,
  }))
  const stories = SCENARIOS_WITH_ORDER.flatMap((story) =>
    (["tied", "apart"] as const).map((timing): Attempt & { readonly of: DetectionPlan } => ({
      of: { kind: "orders", story: story.name },
      name: `orders of "${story.name}", ${timing}`,
      play: async (parts) => (await exploreOrders(story, timing, parts)).faults[0] ?? null,
    })),
  )
  const isFirst = (attempt: { readonly of: DetectionPlan }): boolean =>
    JSON.stringify(attempt.of) === JSON.stringify(first)
  yield* [...flows, ...stories].filter(isFirst)
  for (let seed = 1; seed <= SCHEDULES_MAX; seed++) {
    yield { name: `seed ${seed}`, play: async (parts) => (await runSchedule(seed, parts)).violations[0] ?? null }
  }
  yield* [...flows, ...stories].filter((attempt) => !isFirst(attempt))
}

/** The statements that switch the guard off in the database, for as long as a run lasts. */
const schemaOf = ({ functions = [], tables = [] }: Mutant): string[] => [
  ...tables,
  ...patchedFunctions(functions).map((text) => text.trim().replace(/;$/, "")),
]

/** The files of functions with the changes made, each one statement. Throws for a function that the database does not have. */
export function patchedFunctions(patches: readonly Patch[]): string[] {
  const texts = new Map<string, string>()
  for (const patch of patches) {
    if (!currentFunctions().has(basename(patch.file, ".sql")) || dirname(patch.file) !== "db/functions") {
      throw new Error(`${patch.file} is no function of the database`)
    }
    texts.set(patch.file, patched(texts.get(patch.file) ?? readFileSync(join(ROOT, patch.file), "utf8"), patch))
  }
  return [...texts.values()]
}

/** Throws when a place of the list is not in the code, or not once: it must be read again. */
export function checkMutantLocations({ code = [], functions = [] }: Mutant): void {
  patchedFunctions(functions)
  const texts = new Map<string, string>()
  for (const patch of code) {
    texts.set(patch.file, patched(texts.get(patch.file) ?? readFileSync(join(ROOT, patch.file), "utf8"), patch))
  }
}
