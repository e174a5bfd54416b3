/** Many schedules by one player, the faults of each counted, and the smallest version of one that fails. */
import { play, type Run, type RunParts } from "./run.ts"

/** What several runs came to. */
export interface Tally {
  runs: number
  readonly figures: Record<string, number>
  readonly kinds: Record<string, number>
  readonly failed: Failure[]
}

export interface Failure {
  readonly seed: number
  readonly violations: readonly string[]
}

export const emptyTally = (): Tally => ({ runs: 0, figures: {}, kinds: {}, failed: [] })

/** Adds a run to a tally. */
export function count(tally: Tally, { seed, violations, figures, kinds }: Run): void {
  tally.runs += 1
  add(tally.figures, { ...figures })
  add(tally.kinds, kinds)
  if (violations.length > 0) tally.failed.push({ seed, violations })
}

/** Adds one tally to another. */
export function merge(into: Tally, other: Tally): void {
  into.runs += other.runs
  add(into.figures, other.figures)
  add(into.kinds, other.kinds)
  into.failed.push(...other.failed)
}

function add(into: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(more)) into[name] = (into[name] ?? 0) + value
}

/** Plays so many more versions of a failing schedule at most while looking for a smaller one. */
const SHRINK_RUNS_MAX = 120

/**
 * The same schedule with as few of its faults as still break the same invariant: faults are left out in ever smaller
 * groups. What stays is what a person should read.
 */
export async function shrink(failing: Run, parts: RunParts): Promise<Run> {
  const broken = numberOf(failing)
  let best = failing
  let kept = failing.faults.map(({ index }) => index)
  let runs = 0
  for (
    let size = Math.ceil(kept.length / 2);
    size >= 1 && runs < SHRINK_RUNS_MAX;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = 0; start < kept.length && runs < SHRINK_RUNS_MAX; ) {
      const fewer = new Set([...kept.slice(0, start), ...kept.slice(start + size)])
      const run = await play(failing.seed, { ...parts, isLet: (index) => fewer.has(index) })
      runs += 1
      if (numberOf(run) === broken) {
        best = run
        kept = kept.filter((index) => fewer.has(index))
      } else {
        start += size
      }
    }
  }
  return best
}

/** The invariant that a run breaks first. */
const numberOf = ({ violations: [first] }: Run): string | null => first?.split(" ", 1)[0] ?? null
