import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { RULE_FEATURES, scoreByRules } from "./health/rules.ts"
import {
  COMPONENTS,
  type ComponentWeights,
  type Health,
  healthOf,
  healthOfProbability,
  MODEL_WEIGHTS,
  RISK_THRESHOLDS,
  riskLevelOf,
  type ScoredCustomer,
} from "./health.ts"

const SEED = { seed: 20_261_121 }
const logOdds = fc.double({ min: -12, max: 12, noNaN: true })
const rate = fc.double({ min: 0.0005, max: 0.6, noNaN: true })

/** Codes named after components, and some that belong to no component. */
const codes = [...COMPONENTS.flatMap((name) => [`${name}.a`, `${name}.b`]), "company", "calibration"]
const componentOf = (code: string) => COMPONENTS.find((name) => code.startsWith(`${name}.`)) ?? null

const scored: fc.Arbitrary<ScoredCustomer> = fc
  .record({
    base: fc.double({ min: -6, max: 2, noNaN: true }),
    parts: fc.array(fc.tuple(fc.constantFrom(...codes), logOdds)),
  })
  .map(({ base, parts }) => {
    const reasons = parts.map(([code, value]) => ({ code, logOdds: value }))
    const total = reasons.reduce((sum, reason) => sum + reason.logOdds, base)
    return { base, reasons, logOdds: total, probability: 1 / (1 + Math.exp(-total)), coverage: 1 }
  })
const weights: fc.Arbitrary<ComponentWeights> = fc.record({
  ...{ payment: fc.double({ min: 0, max: 3, noNaN: true }), usage: fc.double({ min: 0, max: 3, noNaN: true }) },
  ...{ support: fc.double({ min: 0, max: 3, noNaN: true }), relationship: fc.constant(1), tenure: fc.constant(0) },
})

const rulesOf = (baseRate: number, own: ComponentWeights = MODEL_WEIGHTS) => ({
  ...{ baseRate, componentOf, weights: own, thresholds: RISK_THRESHOLDS },
})

function scoredHealth(health: Health): Extract<Health, { status: "scored" }> {
  if (health.status !== "scored") throw new Error("expected a health")
  return health
}

describe("health", () => {
  test("falls strictly as the probability rises, for every base rate", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 0.0001, max: 0.98, noNaN: true }),
        fc.double({ min: 0.0005, max: 0.01, noNaN: true }),
        (base, p, more) => {
          expect(healthOfProbability(p + more, base)).toBeLessThan(healthOfProbability(p, base))
        },
      ),
      SEED,
    )
  })

  test("is 70 at any base rate", () => {
    fc.assert(
      fc.property(rate, (base) => {
        expect(healthOfProbability(base, base)).toBeCloseTo(70, 9)
      }),
      SEED,
    )
  })

  test("is exactly the sum of its components in any order, within 0 and 100, and never NaN", () => {
    fc.assert(
      fc.property(scored, rate, weights, fc.boolean(), (customer, base, own, isOwn) => {
        const health = scoredHealth(healthOf(customer, rulesOf(base, isOwn ? own : MODEL_WEIGHTS)))
        const scores = health.components.map(({ score }) => score)
        expect(scores.reduce((sum, score) => sum + score, 0)).toBe(health.score)
        expect(scores.toReversed().reduce((sum, score) => sum + score, 0)).toBe(health.score)
        for (const value of [health.score, health.atRiskScore]) {
          expect(value).toBeGreaterThanOrEqual(0)
          expect(value).toBeLessThanOrEqual(100)
        }
        expect(health.components.every(({ score, points }) => Number.isFinite(score) && Number.isFinite(points))).toBe(
          true,
        )
        expect(health.components.map(({ name }) => name)).toEqual(COMPONENTS)
      }),
      { ...SEED, numRuns: 500 },
    )
  })

  test("follows the probability alone under the model's own weights", () => {
    fc.assert(
      fc.property(scored, rate, (customer, base) => {
        const health = scoredHealth(healthOf(customer, rulesOf(base)))
        expect(health.isReweighted).toBe(false)
        expect(health.score + health.atRiskScore).toBeCloseTo(100, 6)
        const bounded = Math.min(Math.max(customer.probability, 1e-6), 1 - 1e-6)
        if (bounded === customer.probability) expect(health.score).toBeCloseTo(healthOfProbability(bounded, base), 5)
      }),
      SEED,
    )
  })

  test("a component lowers the health if its features raise the odds, and raises it if they lower them", () => {
    fc.assert(
      fc.property(scored, rate, (customer, base) => {
        const health = scoredHealth(healthOf(customer, rulesOf(base)))
        for (const { name, points } of health.components) {
          const added = customer.reasons.reduce(
            (sum, { code, logOdds: own }) => (componentOf(code) === name ? sum + own : sum),
            0,
          )
          // The rounding error of the grid may have the opposite sign.
          if (Math.abs(points) > 1e-5) expect(Math.sign(points)).toBe(-Math.sign(added))
        }
      }),
      SEED,
    )
  })

  test("a component with weight 0 has no effect", () => {
    fc.assert(
      fc.property(scored, rate, logOdds, (customer, base, more) => {
        const reasons = [...customer.reasons, { code: "usage.a", logOdds: more }]
        const other = { ...customer, reasons, logOdds: customer.logOdds + more }
        const own = { ...MODEL_WEIGHTS, usage: 0 }
        const [a, b] = [customer, other].map((one) => scoredHealth(healthOf(one, rulesOf(base, own))))
        expect(a?.score).toBeCloseTo(b?.score ?? Number.NaN, 5)
        expect(a?.isReweighted).toBe(true)
      }),
      SEED,
    )
  })
})

describe("risk", () => {
  test("never falls as the probability rises", () => {
    const order = ["low", "medium", "high", "critical"]
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(share, share, rate, (a, b, base) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        expect(order.indexOf(riskLevelOf(high, base))).toBeGreaterThanOrEqual(order.indexOf(riskLevelOf(low, base)))
      }),
      SEED,
    )
  })
})

describe("rules without a model", () => {
  const anything = fc.oneof(fc.double(), fc.constantFrom(null, undefined, "month"), fc.integer({ min: -5, max: 400 }))
  const input = fc.dictionary(fc.constantFrom(...RULE_FEATURES, "unknown", "constructor"), anything)

  test("reasons sum to the score exactly for any input, and the probability is between 0 and 1", () => {
    fc.assert(
      fc.property(input, fc.double(), (given, base) => {
        const { logOdds: total, base: from, reasons, probability, coverage } = scoreByRules(given, base)
        expect(reasons.reduce((sum, reason) => sum + reason.logOdds, from)).toBe(total)
        expect(reasons.toReversed().reduce((sum, reason) => sum + reason.logOdds, from)).toBe(total)
        expect(probability).toBeGreaterThan(0)
        expect(probability).toBeLessThan(1)
        expect(coverage).toBeGreaterThanOrEqual(0)
        expect(coverage).toBeLessThanOrEqual(1)
      }),
      SEED,
    )
  })
})
