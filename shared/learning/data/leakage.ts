/** Signs of leakage: features that reveal the outcome. */
import type { Matrix } from "./matrix.ts"

/** No single feature known before the outcome reaches this AUC. */
const FEATURE_AUC_MAX = 0.95
/** The best published models of voluntary subscription churn stay below. */
const MODEL_AUC_MAX = 0.93
/** With fewer rows of an outcome, such values occur by chance. */
const OUTCOMES_MIN = 30

/** A sentence for each sign of leakage; usually none. `auc` is the model's out-of-fold AUC. */
export function leakWarnings(matrix: Matrix, outcomes: Uint8Array, auc: number | null): string[] {
  const events = outcomes.reduce((sum, outcome) => sum + outcome, 0)
  if (Math.min(events, outcomes.length - events) < OUTCOMES_MIN) return []
  const warnings = matrix.features.flatMap(({ name, type }, input) => {
    const column = matrix.columns[input]
    if (type !== "number" || column === undefined) return []
    const single = featureAuc(column, outcomes)
    return single > FEATURE_AUC_MAX
      ? [`${name} alone has an AUC of ${single.toFixed(3)}: does it know what happened afterwards?`]
      : []
  })
  if (auc !== null && auc > MODEL_AUC_MAX) {
    warnings.push(
      `The model's AUC of ${auc.toFixed(3)} is higher than what is known beforehand usually allows; look for a leak.`,
    )
  }
  return warnings
}

/** The AUC of one column in the better direction; missing values rank below all others. */
export function featureAuc(column: Float64Array, outcomes: Uint8Array): number {
  const order = Uint32Array.from(outcomes, (_, row) => row)
  const value = (row: number) => {
    const number = column[row] ?? Number.NaN
    return Number.isNaN(number) ? Number.NEGATIVE_INFINITY : number
  }
  order.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0))
  let [stayedBelow, pairs, events, at] = [0, 0, 0, 0]
  while (at < order.length) {
    const first = value(order[at] ?? 0)
    let [left, stayed] = [0, 0]
    for (; at < order.length && value(order[at] ?? 0) === first; at++) {
      if (outcomes[order[at] ?? 0] === 1) left += 1
      else stayed += 1
    }
    pairs += left * (stayedBelow + stayed / 2)
    stayedBelow += stayed
    events += left
  }
  const auc = pairs / Math.max(1, events * (order.length - events))
  return Math.max(auc, 1 - auc)
}
