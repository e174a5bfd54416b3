/** Whether the champion before is the better one to serve once the main alarm has sounded. */
import { batchOf, cusum } from "./cusum.ts"
import { comparePaired, type Pair } from "./paired.ts"

/** What is known when the main alarm of a champion stands. */
export interface RollbackEvidence {
  /** Who serves: the company's own champion, a model that all share, or one that configuration pins. */
  readonly place: "own" | "shared" | "pinned"
  readonly hasEarlier: boolean
  /** Days since the champion was last changed by itself; null: never. */
  readonly daysSinceReturn: number | null
}

/** What is to be done, as far as it can be said without asking the earlier champion; null: ask it. */
export type RollbackRefusal = "pinned" | "shared_model" | "nothing_before" | "cooling_down"

/** Labels take two months: before, nothing says how the model does that was returned to. Twice as long, so that nothing flaps. */
export const COOL_DOWN_DAYS = 120

/** Why the champion is not changed, whatever the earlier one says; null: the earlier one decides. */
export function rollbackRefusal({ place, hasEarlier, daysSinceReturn }: RollbackEvidence): RollbackRefusal | null {
  if (place === "pinned") return "pinned"
  // What one company sees is no reason to change what serves all of them.
  if (place === "shared") return "shared_model"
  if (!hasEarlier) return "nothing_before"
  return daysSinceReturn !== null && daysSinceReturn < COOL_DOWN_DAYS ? "cooling_down" : null
}

/** A matured label with what the champion (`champion`) and the one before it (`challenger`) say of the same inputs. */
export interface Rescored extends Pair {
  /** Week of the prediction. */
  readonly week: number
}

/**
 * Whether the earlier champion does better on the very labels that the alarm rests on: its own chart over them is quiet, and
 * its log loss is lower by more than chance allows. One that drifts as much is no place to go back to.
 */
export function isEarlierBetter(rows: readonly Rescored[], seed: number): boolean {
  const byWeek = [...Map.groupBy(rows, ({ week }) => week)].sort(([a], [b]) => a - b)
  const batches = byWeek.map(([, of]) =>
    batchOf(of.map(({ challenger, isChurned }) => ({ probability: challenger, isChurned }))),
  )
  if (cusum(batches).some(({ up, down }) => up.isAbove || down.isAbove)) return false
  const comparison = comparePaired(rows, seed)
  return comparison !== null && comparison.high < 0
}
