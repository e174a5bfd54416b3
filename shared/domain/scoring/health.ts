/**
 * Health: what a score says, on a scale that people read without knowing of odds.
 *
 *     health = 100 / (1 + 3/7 · odds(p) / odds(base rate))
 *
 * The mean customer has 70; whoever leaves with three times the odds has 44, with ten times the odds 19, with a tenth of
 * them 96. In log-odds it is 100 · σ(ln 7/3 − (z − z₀)), so it falls strictly as the probability rises, never reaches 0 or
 * 100, and does not depend on how many leave in any case. The distance from 70 is divided among the components in
 * proportion to what their features add to the log-odds, which keeps each one's sign and leaves no remainder.
 */

/** What a customer's health is made of, in the order in which it is shown. */
export const COMPONENTS = ["payment", "usage", "support", "relationship", "tenure"] as const

export type Component = (typeof COMPONENTS)[number]

/** How much each component counts: 1 as the model says, 0 not at all. */
export type ComponentWeights = Readonly<Record<Component, number>>

export const MODEL_WEIGHTS: ComponentWeights = { payment: 1, usage: 1, support: 1, relationship: 1, tenure: 1 }

export const RISK_LEVELS = ["low", "medium", "high", "critical"] as const

export type RiskLevel = (typeof RISK_LEVELS)[number]

/** From how many times the base rate on a level begins. */
export type RiskThresholds = Readonly<Record<Exclude<RiskLevel, "low">, number>>

/** At 3 % a month: 4.5 %, 9 % and 18 %. */
export const RISK_THRESHOLDS: RiskThresholds = { medium: 1.5, high: 3, critical: 6 }

/** Whoever leaves with this probability is at risk however many others do: times a base rate of a third would be beyond 1. */
const RISK_CAPS: RiskThresholds = { medium: 0.3, high: 0.5, critical: 0.75 }

/** A score that rests on less than half of what the model asks for says more about the data than about the customer. */
export const COVERAGE_MIN = 0.5

/** What health needs of a score. `base` and all reasons sum to `logOdds`. */
export interface ScoredCustomer {
  readonly probability: number
  readonly logOdds: number
  readonly base: number
  readonly reasons: readonly { readonly code: string; readonly logOdds: number }[]
  /** The share of what the model asks for that is known of the customer, 0 to 1. */
  readonly coverage: number
}

export interface HealthRules {
  /** The share of customers that leaves in one period: where 70 lies. */
  readonly baseRate: number
  /** The component of a feature; null for what is the whole company's (its offset, the bend of a calibration). */
  readonly componentOf: (code: string) => Component | null
  readonly weights: ComponentWeights
  readonly thresholds: RiskThresholds
}

export interface ComponentHealth {
  readonly name: Component
  /** This component's part of the health; the parts sum to it exactly. Below 0 where it takes from the others'. */
  readonly score: number
  /** The same beside the mean customer's: what this component gives or takes. */
  readonly points: number
}

export type Health =
  | {
      readonly status: "scored"
      /** 0 to 100, a hundred is healthy. */
      readonly score: number
      /** 0 to 100, a hundred is as good as gone: the complement of the health under the model's own weights. */
      readonly atRiskScore: number
      readonly riskLevel: RiskLevel
      readonly components: readonly ComponentHealth[]
      /** True when the company counts components otherwise than the model: then health no longer follows the probability. */
      readonly isReweighted: boolean
    }
  | { readonly status: "not_scored"; readonly because: NotScored }

/** Why somebody has no health. */
export type NotScored =
  | { readonly reason: "coverage_too_low"; readonly coverage: number; readonly needed: number }
  | { readonly reason: "no_score" }

/** Where the mean customer stands: healthy, with room above. */
const MEAN_HEALTH = 70
const MEAN_LOGIT = Math.log(MEAN_HEALTH / (100 - MEAN_HEALTH))

/** No base rate that was measured is nearer to 0 or 1; a made-up one must not lead to infinities. */
const BASE_RATE_MIN = 1e-6

/** Points lie on one grid, on which they add up without rounding; its steps are a ten-millionth of a point. */
const GRID = 2 ** 24

const onGrid = (points: number): number => Math.round(points * GRID) / GRID

/** Health of somebody whose log-odds are so far above (worse than) those of the base rate. Strictly falling. */
export const healthOfOdds = (above: number): number => 100 / (1 + Math.exp(above - MEAN_LOGIT))

/** The health that a probability means beside a base rate, from 0 to 100; NaN-free for any finite input. */
export const healthOfProbability = (probability: number, baseRate: number): number =>
  healthOfOdds(logit(probability) - logit(baseRate))

const logit = (probability: number): number => {
  const bounded = Math.min(Math.max(probability, BASE_RATE_MIN), 1 - BASE_RATE_MIN)
  return Math.log(bounded / (1 - bounded))
}

/** The level of a probability beside the share that leaves in any case. */
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

/** The health of a scored customer, or why there is none. Never NaN; components sum to the score without a remainder. */
export function healthOf(scored: ScoredCustomer | null, rules: HealthRules): Health {
  if (scored === null || !hasValidScore(scored)) return { status: "not_scored", because: { reason: "no_score" } }
  const { coverage } = scored
  if (!(coverage >= COVERAGE_MIN)) {
    return { status: "not_scored", because: { reason: "coverage_too_low", coverage, needed: COVERAGE_MIN } }
  }
  const meanLogit = logit(rules.baseRate)
  const sums = sumsOf(scored, rules)
  // What is nobody's own moves the point from which everybody of the company starts.
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

/** What each component adds to the log-odds, as the model says. */
function sumsOf({ reasons }: ScoredCustomer, { componentOf }: HealthRules): Record<Component, number> {
  const sums: Record<Component, number> = { payment: 0, usage: 0, support: 0, relationship: 0, tenure: 0 }
  for (const { code, logOdds } of reasons) {
    const component = componentOf(code)
    if (component !== null) sums[component] += logOdds
  }
  return sums
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Log-odds that differ by less are the same: then the curve's own slope stands for the secant's. */
const ALIKE = 1e-9

/** The score in parts: each an equal share of where everybody starts, and its own share of the way from there. */
function divide(score: number, from: number, start: number, added: readonly number[]): ComponentHealth[] {
  const way = sum(added)
  const slope = Math.abs(way) < ALIKE ? -(from * (100 - from)) / 100 : (healthOfOdds(start + way) - from) / way
  const share = onGrid(from / COMPONENTS.length)
  const parts = COMPONENTS.map((name, index) => {
    const points = onGrid((added[index] ?? 0) * slope)
    return { name, score: share + points, points }
  })
  // What rounding to the grid left over goes to the largest part, where it is least of all seen.
  const rest = score - sum(parts.map((part) => part.score))
  const largest = parts.reduce((best, part) => (Math.abs(part.points) > Math.abs(best.points) ? part : best))
  return parts.map((part) =>
    part === largest ? { name: part.name, score: part.score + rest, points: part.points + rest } : part,
  )
}
