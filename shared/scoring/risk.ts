/** What a probability means beside the others: a level of risk, and how far it can be relied on. */

export type RiskLevel = "low" | "medium" | "high"

/** How often as likely to leave as the mean customer somebody is from this level on. */
const MEDIUM_TIMES = 1.5
const HIGH_TIMES = 3

/** Whoever leaves with these odds is at risk however many others do. */
const MEDIUM_MAX = 0.3
const HIGH_MAX = 0.5

/**
 * The level of a probability beside the share that leaves in any case. At 3 % a month hardly anybody is above one half, and
 * 10 % is a warning; where a quarter leaves it is none.
 */
export function riskLevelOf(probability: number, baseRate: number): RiskLevel {
  if (probability >= Math.min(HIGH_MAX, HIGH_TIMES * baseRate)) return "high"
  return probability >= Math.min(MEDIUM_MAX, MEDIUM_TIMES * baseRate) ? "medium" : "low"
}

/**
 * How far a score can be relied on, 0 to 1: the share of what the model asks for that is known, times how narrow the
 * probability's interval is. A model that brings no evidence of its calibration (an interval from 0 to 1) has none.
 */
export const confidenceOf = (
  coverage: number,
  { low, high }: { readonly low: number; readonly high: number },
): number => Math.min(1, Math.max(0, coverage * (1 - (high - low))))

/**
 * The share of a model's inputs that is known of somebody, each weighted by how often training knew it: what nearly nobody
 * has (days since a ticket that few ever opened) is not missed. 1 where the model says nothing of its training rows.
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

/** A score that rests on less than half of what the model asks for says more about the data than about the customer. */
export const COVERAGE_MIN = 0.5
