/** The confidence of a score. */

/**
 * 0 to 1: the coverage times one minus the width of the probability's interval. A model without calibration evidence (an
 * interval from 0 to 1) has confidence 0.
 */
export const confidenceOf = (
  coverage: number,
  { low, high }: { readonly low: number; readonly high: number },
): number => Math.min(1, Math.max(0, coverage * (1 - (high - low))))

/**
 * The share of a model's inputs that is known of a customer, each weighted by how often training data had it, so that a rare
 * input (days since a support ticket) hardly counts. 1 if training data had none of them.
 */
export function coverageOf(isKnown: readonly boolean[], missingInTraining: readonly number[]): number {
  let [knownWeight, totalWeight] = [0, 0]
  for (const [input, known] of isKnown.entries()) {
    const weight = 1 - (missingInTraining[input] ?? 0)
    totalWeight += weight
    if (known) knownWeight += weight
  }
  return totalWeight > 0 ? Math.min(1, knownWeight / totalWeight) : 1
}
