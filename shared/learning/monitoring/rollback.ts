/** Whether to roll back to the previous champion after a primary alarm. */
import { batchOf, cusum } from "./cusum.ts"
import { comparePaired, type Pair } from "./paired.ts"

/** The situation of a champion with a primary alarm. */
export interface RollbackEvidence {
  /** What serves: the company's own champion, a shared model, or one pinned by configuration. */
  readonly place: "own" | "shared" | "pinned"
  readonly hasEarlier: boolean
  /** Days since the last automatic rollback; null: never. */
  readonly daysSinceReturn: number | null
}

/** Why no rollback is possible. */
export type RollbackRefusal = "pinned" | "shared_model" | "nothing_before" | "cooling_down"

/** Labels mature in two months, so the effect of a rollback is unknown before. Twice that avoids switching back and forth. */
export const COOL_DOWN_DAYS = 120

/** Why the champion stays, independent of the earlier one's quality; null: the comparison decides. */
export function rollbackRefusal({ place, hasEarlier, daysSinceReturn }: RollbackEvidence): RollbackRefusal | null {
  if (place === "pinned") return "pinned"
  // Drift in one company is no reason to change the model of all companies.
  if (place === "shared") return "shared_model"
  if (!hasEarlier) return "nothing_before"
  return daysSinceReturn !== null && daysSinceReturn < COOL_DOWN_DAYS ? "cooling_down" : null
}

/** A matured label with predictions of the champion (`champion`) and the previous one (`challenger`) for the same inputs. */
export interface Rescored extends Pair {
  /** Week of the prediction. */
  readonly week: number
}

/**
 * Whether the earlier champion is better on the labels that raised the alarm: its own chart has no alarm on them, and its log
 * loss is significantly lower.
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
