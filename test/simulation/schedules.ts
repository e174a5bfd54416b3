/** Many schedules by one player, the faults of each counted, and the smallest version of one that fails. */
import type { Reduction } from "./plan.ts"
import { type Run, type RunParts, runSchedule } from "./run.ts"

/** What several runs came to. */
export interface RequestCounter {
  runs: number
  readonly figures: Record<string, number>
  readonly kinds: Record<string, number>
  readonly failed: Failure[]
}

export interface Failure {
  readonly seed: number
  readonly violations: readonly string[]
}

export const emptyTally = (): RequestCounter => ({ runs: 0, figures: {}, kinds: {}, failed: [] })

/** Adds a run to a tally. */
export function count(tally: RequestCounter, { seed, violations, figures, kinds }: Run): void {
  tally.runs += 1
  add(tally.figures, { ...figures })
  add(tally.kinds, kinds)
  if (violations.length > 0) tally.failed.push({ seed, violations })
}

/** Adds one tally to another. */
export function merge(into: RequestCounter, other: RequestCounter): void {
  into.runs += other.runs
  add(into.figures, other.figures)
  add(into.kinds, other.kinds)
  into.failed.push(...other.failed)
}

function add(into: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(more)) into[name] = (into[name] ?? 0) + value
}

/** Plays so many more versions of a failing schedule at most while looking for a smaller one. */
const SHRINK_RUNS_MAX = 200

/**
 * The same schedule with as little in it as still breaks the same invariant: first whole outages, storms, switches and
 * customers are left out, then faults in ever smaller groups. What stays is what a person should read.
 */
export async function shrink(failing: Run, parts: RunParts): Promise<Run> {
  const broken = numberOf(failing)
  let best = failing
  let runs = 0
  const isStillBroken = async (version: RunParts): Promise<boolean> => {
    const run = await runSchedule(failing.seed, version)
    runs += 1
    if (numberOf(run) !== broken) return false
    best = run
    return true
  }

  let calmer: Reduction = {}
  const lives = Array.from({ length: failing.customers }, (_, onlyCustomer): Reduction => ({ onlyCustomer }))
  for (const change of [{ hasNoOutages: true }, { hasNoStorms: true }, { hasNoSwitches: true }, ...lives]) {
    if (await isStillBroken({ ...parts, calmer: { ...calmer, ...change } })) calmer = { ...calmer, ...change }
  }
  let kept = best.faults.map(({ id }) => id)
  let size = Math.ceil(kept.length / 2)
  while (size >= 1 && runs < SHRINK_RUNS_MAX) {
    for (let start = 0; start < kept.length && runs < SHRINK_RUNS_MAX; ) {
      const fewer = new Set([...kept.slice(0, start), ...kept.slice(start + size)])
      if (await isStillBroken({ ...parts, calmer, isLet: (id) => fewer.has(id) })) kept = [...fewer]
      else start += size
    }
    size = size === 1 ? 0 : Math.ceil(size / 2)
  }
  return best
}

/** The invariant that a run breaks first. */
const numberOf = ({ violations: [first] }: Run): string | null => first?.split(" ", 1)[0] ?? null
