import { describe, expect, test } from "vitest"
import {
  COMPONENTS,
  type ComponentWeights,
  type Health,
  healthOf,
  healthOfOdds,
  healthOfProbability,
  MODEL_WEIGHTS,
  RISK_LEVELS,
  RISK_THRESHOLDS,
  riskLevelOf,
  type ScoredCustomer,
} from "./health.ts"

/** A base rate of 1 to 9, of which multiples of the odds are easy to read. */
const BASE_RATE = 0.1
const BASE = Math.log(1 / 9)
const LN_3 = Math.log(3)

const componentOf = (code: string) => COMPONENTS.find((name) => code.startsWith(`${name}.`)) ?? null

/** A customer whose reasons add this to the log-odds of the base rate. */
function scored(added: Readonly<Record<string, number>>, change: Partial<ScoredCustomer> = {}): ScoredCustomer {
  const reasons = Object.entries(added).map(([code, logOdds]) => ({ code, logOdds }))
  const logOdds = reasons.reduce((sum, reason) => sum + reason.logOdds, BASE)
  return { base: BASE, reasons, logOdds, probability: 1 / (1 + Math.exp(-logOdds)), coverage: 1, ...change }
}

function healthWith(customer: ScoredCustomer, weights: Partial<ComponentWeights> = {}) {
  const rules = { baseRate: BASE_RATE, componentOf, thresholds: RISK_THRESHOLDS }
  const health = healthOf(customer, { ...rules, weights: { ...MODEL_WEIGHTS, ...weights } })
  if (health.status !== "scored") throw new Error("expected a health")
  return health
}

const pointsOf = ({ components }: Extract<Health, { status: "scored" }>) =>
  Object.fromEntries(components.map(({ name, points }) => [name, Math.round(points * 1e6) / 1e6]))
const scoresOf = ({ components }: Extract<Health, { status: "scored" }>) =>
  Object.fromEntries(components.map(({ name, score }) => [name, Math.round(score * 1e6) / 1e6]))
const NO_POINTS = { payment: 0, usage: 0, support: 0, relationship: 0, tenure: 0 }

describe("the health of a probability", () => {
  test.each([
    ["is 70 at the base rate", BASE_RATE, BASE_RATE, 70],
    ["is 43.75 at three times the odds", 0.03 / 1.03, 0.01 / 1.01, 43.75],
    ["is 95.89 at a tenth of the odds", 0.001 / 1.001, 0.01 / 1.01, 95.890411],
    ["of 0 is that of one in a million", 0, BASE_RATE, healthOfProbability(1e-6, BASE_RATE)],
    ["of 1 is that of all but one in a million", 1, BASE_RATE, healthOfProbability(1 - 1e-6, BASE_RATE)],
    ["against a base rate of 0 is that against one in a million", 0.5, 0, healthOfProbability(0.5, 1e-6)],
  ])("%s", (_, probability, baseRate, health) => {
    expect(healthOfProbability(probability, baseRate)).toBeCloseTo(health, 6)
    expect(healthOfProbability(probability, baseRate)).toBeGreaterThan(0)
    expect(healthOfProbability(probability, baseRate)).toBeLessThan(100)
  })
})

describe("the health of a customer", () => {
  test("of whom nothing is known but the base rate is 70, in equal parts", () => {
    expect(healthWith(scored({}))).toEqual({
      status: "scored",
      score: 70,
      atRiskScore: 30,
      riskLevel: "low",
      components: COMPONENTS.map((name) => ({ name, score: 14, points: 0 })),
      isReweighted: false,
    })
  })

  test("with three times the odds for one reason has lost its points in that component", () => {
    const health = healthWith(scored({ "payment.failed": LN_3 }))
    expect(health.score).toBeCloseTo(43.75, 6)
    expect(health.atRiskScore).toBeCloseTo(56.25, 6)
    expect(health.riskLevel).toBe("medium")
    expect(pointsOf(health)).toEqual({ ...NO_POINTS, payment: -26.25 })
    expect(scoresOf(health)).toEqual({ payment: -12.25, usage: 14, support: 14, relationship: 14, tenure: 14 })
  })

  test("divides its distance from 70 in proportion to the log-odds, with their sign", () => {
    const health = healthWith(scored({ "payment.a": LN_3, "payment.b": LN_3, "usage.a": -LN_3 }))
    expect(health.score).toBeCloseTo(43.75, 6)
    expect(pointsOf(health)).toEqual({ ...NO_POINTS, payment: -52.5, usage: 26.25 })
  })

  test("has points also where reasons cancel each other out", () => {
    const health = healthWith(scored({ "payment.a": LN_3, "usage.a": -LN_3 }))
    expect(health.score).toBeCloseTo(70, 6)
    expect(health.components[0]?.points).toBeCloseTo(-21 * LN_3, 6)
    expect(health.components[1]?.points).toBeCloseTo(21 * LN_3, 6)
  })

  test("starts lower for all customers of a company that loses more", () => {
    const health = healthWith(scored({ company: LN_3 }))
    expect(health.score).toBeCloseTo(43.75, 6)
    expect(pointsOf(health)).toEqual(NO_POINTS)
    expect(scoresOf(health)).toEqual({ payment: 8.75, usage: 8.75, support: 8.75, relationship: 8.75, tenure: 8.75 })
  })

  test("follows the company's weights, while the risk follows the model's", () => {
    const customer = scored({ "payment.a": LN_3, "usage.a": LN_3 })
    const ignoring = healthWith(customer, { usage: 0 })
    expect(ignoring).toMatchObject({ isReweighted: true, riskLevel: "high" })
    expect(ignoring.score).toBeCloseTo(43.75, 6)
    expect(pointsOf(ignoring)).toEqual({ ...NO_POINTS, payment: -26.25 })
    expect(ignoring.atRiskScore).toBeCloseTo(100 - 100 / (1 + 27 / 7), 6)

    const doubled = healthWith(customer, { payment: 2 })
    expect(doubled.score).toBeCloseTo(100 / (1 + 81 / 7), 6)
    expect(doubled.isReweighted).toBe(true)
  })

  test("is the sum of its components to the last bit: the rounding error goes to the largest", () => {
    const GRID = 2 ** 24
    for (const share of [0.1, 0.7, 1.3, -0.4, 2.9]) {
      const added = { "payment.a": share / 7, "usage.a": share * 1.1, "support.a": -share / 3, "tenure.a": share / 9 }
      const health = healthWith(scored(added))
      expect(health.components.reduce((sum, { score }) => sum + score, 0)).toBe(health.score)
      const total = Object.values(added).reduce((sum, value) => sum + value, 0)
      const slope = (healthOfOdds(total) - 70) / total
      for (const { name, score, points } of health.components) {
        expect(score - points).toBe(Math.round(14 * GRID) / GRID)
        const exact = (added[`${name}.a` as keyof typeof added] ?? 0) * slope
        if (name !== "usage") expect(Math.abs(points - exact)).toBeLessThan(0.51 / GRID)
      }
    }
  })
})

describe("a customer has no health", () => {
  const customer = scored({})
  const rules = { baseRate: BASE_RATE, componentOf, weights: MODEL_WEIGHTS, thresholds: RISK_THRESHOLDS }

  test.each([
    ["without a score", null],
    ["if the log-odds are NaN", { ...customer, logOdds: Number.NaN }],
    ["if the probability is NaN", { ...customer, probability: Number.NaN }],
    ["if a reason is not finite", { ...customer, reasons: [{ code: "usage.a", logOdds: Number.POSITIVE_INFINITY }] }],
  ])("%s", (_, given) => {
    expect(healthOf(given, rules)).toEqual({ status: "not_scored", because: { reason: "no_score" } })
  })

  test.each([0, 0.4, 0.499, Number.NaN])("if %s of the inputs is known: that is below half", (coverage) => {
    expect(healthOf({ ...customer, coverage }, rules)).toEqual({
      status: "not_scored",
      because: { reason: "coverage_too_low", coverage, needed: 0.5 },
    })
  })

  test("but has one if just half of the inputs is known", () => {
    expect(healthOf({ ...customer, coverage: 0.5 }, rules).status).toBe("scored")
  })
})

describe("the risk level", () => {
  test("has four steps", () => {
    expect(RISK_LEVELS).toEqual(["low", "medium", "high", "critical"])
  })

  test.each([
    [0, 0.02, "low"],
    [0.0299, 0.02, "low"],
    [0.03, 0.02, "medium"],
    [0.0599, 0.02, "medium"],
    [0.06, 0.02, "high"],
    [0.1199, 0.02, "high"],
    [0.12, 0.02, "critical"],
    // Multiples of a high base rate would exceed 1.
    [0.2999, 0.3, "low"],
    [0.3, 0.3, "medium"],
    [0.4999, 0.3, "medium"],
    [0.5, 0.3, "high"],
    [0.7499, 0.3, "high"],
    [0.75, 0.3, "critical"],
  ])("of %s at a base rate of %s is %s", (probability, base, level) => {
    expect(riskLevelOf(probability, base)).toBe(level)
  })

  test("follows the company's own thresholds", () => {
    const own = { medium: 2, high: 4, critical: 8 }
    expect([0.05, 0.07, 0.13, 0.25].map((probability) => riskLevelOf(probability, 0.03, own))).toEqual(RISK_LEVELS)
    const rules = { baseRate: BASE_RATE, componentOf, weights: MODEL_WEIGHTS }
    const customer = scored({}, { probability: 0.25 })
    expect(healthOf(customer, { ...rules, thresholds: own })).toMatchObject({ riskLevel: "medium" })
    expect(healthOf(customer, { ...rules, thresholds: { ...own, high: 2.5 } })).toMatchObject({ riskLevel: "high" })
  })
})
