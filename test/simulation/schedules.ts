/** Counts over many schedules, and the smallest version of one that fails. */
import type { Reduction } from "./plan.ts"
import { type Run, type RunParts, runSchedule } from "./run.ts"

/** Results of several runs. */
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

/** At most so many runs while looking for a smaller version of a failing schedule. */
const SHRINK_RUNS_MAX = 200

/**
 * The smallest version of a schedule that violates the same invariant: first outages, unreliable periods, switches and
 * customers are left out, then faults in ever smaller groups.
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

  let reduction: Reduction = {}
  const singleCustomers = Array.from({ length: failing.customers }, (_, onlyCustomer): Reduction => ({ onlyCustomer }))
  for (const change of [
    { hasNoOutages: true },
    { hasNoUnreliablePeriods: true },
    { hasNoSwitches: true },
    ...singleCustomers,
  ]) {
    if (await isStillBroken({ ...parts, reduction: { ...reduction, ...change } }))
      reduction = { ...reduction, ...change }
  }
  let kept = best.faults.map(({ id }) => id)
  let size = Math.ceil(kept.length / 2)
  while (size >= 1 && runs < SHRINK_RUNS_MAX) {
    for (let start = 0; start < kept.length && runs < SHRINK_RUNS_MAX; ) {
      const fewer = new Set([...kept.slice(0, start), ...kept.slice(start + size)])
      if (await isStillBroken({ ...parts, reduction, isFaultEnabled: (id) => fewer.has(id) })) kept = [...fewer]
      else start += size
    }
    size = size === 1 ? 0 : Math.ceil(size / 2)
  }
  return best
}

/** The first invariant that a run violates. */
const numberOf = ({ violations: [first] }: Run): string | null => first?.split(" ", 1)[0] ?? null
