/** How far a score can be relied on. */

/**
 * 0 to 1: the share of what the model asks for that is known, times how narrow the probability's interval is. A model that
 * brings no evidence of its calibration (an interval from 0 to 1) has none.
 */
export const confidenceOf = (
  coverage: number,
  { low, high }: { readonly low: number; readonly high: number },
): number => Math.min(1, Math.max(0, coverage * (1 - (high - low))))

/**
 * The share of a model's inputs that is known of somebody, each weighted by how often training knew it: what nearly nobody
 * has (days since a ticket that few ever opened) is not missed. 1 where training knew none of them.
 */
export function coverageOf(isKnown: readonly boolean[], missingInTraining: readonly number[]): number {
  let [known, wanted] = [0, 0]
  for (const [input, is] of isKnown.entries()) {
    const weight = 1 - (missingInTraining[input] ?? 0)
    wanted += weight
    if (is) known += weight
  }
  return wanted > 0 ? Math.min(1, known / wanted) : 1
}
