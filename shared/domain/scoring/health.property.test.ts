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

  test("follows the formula: 43.75 at three times the odds, 95.89 at a tenth of them", () => {
    const ofOdds = (odds: number) => odds / (1 + odds)
    expect(healthOfProbability(ofOdds(0.03), ofOdds(0.01))).toBeCloseTo(43.75, 9)
    expect(healthOfProbability(ofOdds(0.001), ofOdds(0.01))).toBeCloseTo(95.8904, 4)
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

describe("not scored", () => {
  const customer = { probability: 0.1, logOdds: -2.2, base: -2.2, reasons: [], coverage: 1 }

  test("if coverage is too low, with the coverage", () => {
    expect(healthOf({ ...customer, coverage: 0.4 }, rulesOf(0.03))).toEqual({
      status: "not_scored",
      because: { reason: "coverage_too_low", coverage: 0.4, needed: 0.5 },
    })
  })

  test.each([
    ["the customer has no score", null],
    ["the score is NaN", { ...customer, logOdds: Number.NaN }],
    ["a reason is not finite", { ...customer, reasons: [{ code: "usage.a", logOdds: Number.POSITIVE_INFINITY }] }],
  ])("if %s", (_, given) => {
    expect(healthOf(given, rulesOf(0.03))).toEqual({ status: "not_scored", because: { reason: "no_score" } })
  })
})

describe("risk", () => {
  test.each([
    [0.03, 0.03, "low"],
    [0.046, 0.03, "medium"],
    [0.091, 0.03, "high"],
    [0.181, 0.03, "critical"],
    [0.3, 0.3, "medium"],
    [0.55, 0.3, "high"],
    [0.8, 0.3, "critical"],
  ])("of %s at a base rate of %s is %s", (probability, base, level) => {
    expect(riskLevelOf(probability, base)).toBe(level)
  })

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

  test("a customer without known features has the base rate and coverage 0", () => {
    const score = scoreByRules({}, 0.05)
    expect(score.probability).toBeCloseTo(0.05, 12)
    expect(score).toMatchObject({ source: "rules", reasons: [], coverage: 0 })
  })

  test("risk factors raise the probability, and protective factors lower it", () => {
    const of = (given: Readonly<Record<string, number>>) => scoreByRules(given).probability
    const known = Object.fromEntries(RULE_FEATURES.map((feature) => [feature, 0]))
    const plain = of({ ...known, tenure_days: 200 })
    for (const feature of ["cancel_scheduled", "unrecovered_invoices_30d", "negative_tickets_30d", "zero_usage_4w"]) {
      expect(of({ ...known, tenure_days: 200, [feature]: 1 })).toBeGreaterThan(plain)
    }
    expect(of({ ...known, tenure_days: 500 })).toBeLessThan(plain)
    expect(of({ ...known, tenure_days: 20 })).toBeGreaterThan(plain)
  })
})
