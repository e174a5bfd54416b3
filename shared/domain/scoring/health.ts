/**
 * Health: the score on a scale that is readable without knowledge of odds.
 *
 *     health = 100 / (1 + 3/7 · odds(p) / odds(base rate))
 *
 * The mean customer has 70; three times the odds of leaving give 44, ten times 19, a tenth 96. In log-odds it is
 * 100 · σ(ln 7/3 − (z − z₀)), so it falls strictly as the probability rises, never reaches 0 or 100, and does not depend on
 * the base rate. The distance from 70 is divided among the components in proportion to what their features add to the
 * log-odds, which keeps each component's sign and leaves no remainder.
 */

/** The components of the health, in display order. */
export const COMPONENTS = ["payment", "usage", "support", "relationship", "tenure"] as const

export type Component = (typeof COMPONENTS)[number]

/** The weight of each component: 1 as in the model, 0 not at all. */
export type ComponentWeights = Readonly<Record<Component, number>>

export const MODEL_WEIGHTS: ComponentWeights = { payment: 1, usage: 1, support: 1, relationship: 1, tenure: 1 }

export const RISK_LEVELS = ["low", "medium", "high", "critical"] as const

export type RiskLevel = (typeof RISK_LEVELS)[number]

/** Where each level starts, as a multiple of the base rate. */
export type RiskThresholds = Readonly<Record<Exclude<RiskLevel, "low">, number>>

/** At a base rate of 3 % per month: 4.5 %, 9 % and 18 %. */
export const RISK_THRESHOLDS: RiskThresholds = { medium: 1.5, high: 3, critical: 6 }

/** Upper bounds of the thresholds, because multiples of a high base rate would exceed 1. */
const RISK_CAPS: RiskThresholds = { medium: 0.3, high: 0.5, critical: 0.75 }

/** With less than half of the model's inputs known, a score reflects missing data more than the customer. */
export const COVERAGE_MIN = 0.5

/** The parts of a score that health needs. `base` and all reasons sum to `logOdds`. */
export interface ScoredCustomer {
  readonly probability: number
  readonly logOdds: number
  readonly base: number
  readonly reasons: readonly { readonly code: string; readonly logOdds: number }[]
  /** The coverage of the score, 0 to 1. */
  readonly coverage: number
}

export interface HealthRules {
  /** The share of customers that leaves within the horizon; its health is 70. */
  readonly baseRate: number
  /** The component of a feature; null for codes of the whole company (its offset, the calibration). */
  readonly componentOf: (code: string) => Component | null
  readonly weights: ComponentWeights
  readonly thresholds: RiskThresholds
}

export interface ComponentHealth {
  readonly name: Component
  /** This component's part of the health; the parts sum to it exactly. May be negative. */
  readonly score: number
  /** The difference from the mean customer's part. */
  readonly points: number
}

export type Health =
  | {
      readonly status: "scored"
      /** 0 to 100; 100 is healthy. */
      readonly score: number
      /** 0 to 100; 100 is the highest risk: the complement of the health with the model's own weights. */
      readonly atRiskScore: number
      readonly riskLevel: RiskLevel
      readonly components: readonly ComponentHealth[]
      /** True if the company's weights differ from the model's; then health does not follow the probability exactly. */
      readonly isReweighted: boolean
    }
  | { readonly status: "not_scored"; readonly because: NotScored }

/** Why a customer has no health. */
export type NotScored =
  | { readonly reason: "coverage_too_low"; readonly coverage: number; readonly needed: number }
  | { readonly reason: "no_score" }

/** The health of the mean customer: healthy, with room above. */
const MEAN_HEALTH = 70
const MEAN_LOGIT = Math.log(MEAN_HEALTH / (100 - MEAN_HEALTH))

/** Measured base rates are never closer to 0 or 1; the bound prevents infinities. */
const BASE_RATE_MIN = 1e-6

/** Points are rounded to a grid on which sums are exact; its steps are below a ten-millionth of a point. */
const GRID = 2 ** 24

/** Never -0, which is written as "-0". */
const onGrid = (points: number): number => Math.round(points * GRID) / GRID + 0

/** The health for log-odds that are `above` (worse than) those of the base rate. Strictly decreasing. */
export const healthOfOdds = (above: number): number => 100 / (1 + Math.exp(above - MEAN_LOGIT))

/** The health of a probability relative to a base rate, 0 to 100; never NaN for finite input. */
export const healthOfProbability = (probability: number, baseRate: number): number =>
  healthOfOdds(logit(probability) - logit(baseRate))

const logit = (probability: number): number => {
  const bounded = Math.min(Math.max(probability, BASE_RATE_MIN), 1 - BASE_RATE_MIN)
  return Math.log(bounded / (1 - bounded))
}

/** The risk level of a probability relative to the base rate. */
export function riskLevelOf(
  probability: number,
  baseRate: number,
  thresholds: RiskThresholds = RISK_THRESHOLDS,
): RiskLevel {
  const reaches = (level: keyof RiskThresholds) =>
    probability >= Math.min(RISK_CAPS[level], thresholds[level] * baseRate)
  if (reaches("critical")) return "critical"
  if (reaches("high")) return "high"
  return reaches("medium") ? "medium" : "low"
}

/** The health of a scored customer, or why there is none. Never NaN; components sum to the score exactly. */
export function healthOf(scored: ScoredCustomer | null, rules: HealthRules): Health {
  if (scored === null || !hasValidScore(scored)) return { status: "not_scored", because: { reason: "no_score" } }
  const { coverage } = scored
  if (!(coverage >= COVERAGE_MIN)) {
    return { status: "not_scored", because: { reason: "coverage_too_low", coverage, needed: COVERAGE_MIN } }
  }
  const meanLogit = logit(rules.baseRate)
  const sums = sumsOf(scored, rules)
  // Contributions of no component shift the starting point of all customers of the company.
  const start = scored.logOdds - sum(Object.values(sums)) - meanLogit
  const added = COMPONENTS.map((name) => rules.weights[name] * sums[name])
  const score = onGrid(healthOfOdds(start + sum(added)))
  const components = divide(score, healthOfOdds(start), start, added)
  return {
    status: "scored",
    score,
    atRiskScore: 100 - onGrid(healthOfOdds(scored.logOdds - meanLogit)),
    riskLevel: riskLevelOf(scored.probability, rules.baseRate, rules.thresholds),
    components,
    isReweighted: COMPONENTS.some((name) => rules.weights[name] !== 1),
  }
}

const hasValidScore = ({ probability, logOdds, reasons }: ScoredCustomer): boolean =>
  [probability, logOdds, ...reasons.map((reason) => reason.logOdds)].every(Number.isFinite)

/** The log-odds that each component adds in the model. */
function sumsOf({ reasons }: ScoredCustomer, { componentOf }: HealthRules): Record<Component, number> {
  const sums: Record<Component, number> = { payment: 0, usage: 0, support: 0, relationship: 0, tenure: 0 }
  for (const { code, logOdds } of reasons) {
    const component = componentOf(code)
    if (component !== null) sums[component] += logOdds
  }
  return sums
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Below this difference the derivative is used instead of the secant, to avoid division by nearly 0. */
const ALIKE = 1e-9

/** Divides the score: each component gets an equal share of the starting value and its share of the difference from it. */
function divide(score: number, from: number, start: number, added: readonly number[]): ComponentHealth[] {
  const total = sum(added)
  const slope = Math.abs(total) < ALIKE ? -(from * (100 - from)) / 100 : (healthOfOdds(start + total) - from) / total
  const share = onGrid(from / COMPONENTS.length)
  const parts = COMPONENTS.map((name, index) => {
    const points = onGrid((added[index] ?? 0) * slope)
    return { name, score: share + points, points }
  })
  // The rounding error goes to the largest part, where it matters least.
  const rest = score - sum(parts.map((part) => part.score))
  const largest = parts.reduce((best, part) => (Math.abs(part.points) > Math.abs(best.points) ? part : best))
  return parts.map((part) =>
    part === largest ? { name: part.name, score: part.score + rest, points: part.points + rest } : part,
  )
}
