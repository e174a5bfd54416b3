import { describe, expect, test } from "vitest"
import { BASE_RATE_UNKNOWN, RULE_FEATURES, RULES_VERSION, type RuleInput, scoreByRules } from "./rules.ts"

const reasonsOf = (input: RuleInput) => scoreByRules(input).reasons

describe("a rule adds log-odds", () => {
  test.each<[string, number, number | null]>([
    ["cancel_scheduled", 1, 3],
    ["cancel_scheduled", 0, null],
    ["cancel_scheduled", -1, null],
    ["unrecovered_invoices_30d", 1, 1.4],
    ["unrecovered_invoices_30d", 2, 2.8],
    ["unrecovered_invoices_30d", 3, 2.8],
    ["unrecovered_invoices_30d", -1, null],
    ["new_card_needed", 1, 0.4],
    ["recovered_invoices_90d", 2, 0.3],
    ["disputes_365d", 1, 0.7],
    ["usage_decline_8w", 0.25, null],
    ["usage_decline_8w", 0.5, 0.4],
    ["usage_decline_8w", 1, 1.2],
    ["usage_decline_8w", 3, 1.2],
    ["usage_decline_8w", -1, null],
    ["zero_usage_4w", 1, 0.7],
    ["negative_tickets_30d", 1, 0.5],
    ["negative_tickets_30d", 3, 1.5],
    ["negative_tickets_30d", 9, 1.5],
    ["downgrades_90d", 1, 0.5],
    ["upgrades_90d", 1, -0.4],
    ["paused", 1, 0.7],
    ["tenure_days", 0, 0.5],
    ["tenure_days", 89, 0.5],
    ["tenure_days", 90, null],
    ["tenure_days", 365, null],
    ["tenure_days", 366, -0.5],
    ["long_plan", 1, -1.4],
    ["long_renewal_due", 1, 0.7],
  ])("for %s of %d: %d", (feature, value, logOdds) => {
    const reasons = reasonsOf({ [feature]: value })
    if (logOdds === null) expect(reasons).toEqual([])
    else expect(reasons).toEqual([{ code: feature, value, logOdds: expect.closeTo(logOdds, 9) }])
  })

  test("and there is no other rule", () => {
    expect(RULE_FEATURES).toEqual([
      "cancel_scheduled",
      "unrecovered_invoices_30d",
      "new_card_needed",
      "recovered_invoices_90d",
      "disputes_365d",
      "usage_decline_8w",
      "zero_usage_4w",
      "negative_tickets_30d",
      "downgrades_90d",
      "upgrades_90d",
      "paused",
      "tenure_days",
      "long_plan",
      "long_renewal_due",
    ])
    expect(RULES_VERSION).toBe("rules/1")
  })
})

describe("a score by rules", () => {
  test("of a customer without known features is the base rate, with coverage 0", () => {
    const score = scoreByRules({}, 0.05)
    expect(score).toMatchObject({ source: "rules", version: RULES_VERSION, reasons: [], coverage: 0 })
    expect(score.probability).toBeCloseTo(0.05, 9)
    expect(score.logOdds).toBe(score.base)
    expect(score.base).toBeCloseTo(Math.log(0.05 / 0.95), 9)
  })

  test("adds its reasons to the base, the largest first and equal ones by name", () => {
    const { logOdds, base, reasons, probability } = scoreByRules({
      zero_usage_4w: 1,
      paused: 1,
      disputes_365d: 1,
      long_plan: 1,
      cancel_scheduled: 1,
      upgrades_90d: 1,
    })
    expect(reasons.map(({ code }) => code)).toEqual([
      "cancel_scheduled",
      "long_plan",
      "disputes_365d",
      "paused",
      "zero_usage_4w",
      "upgrades_90d",
    ])
    expect(logOdds - base).toBeCloseTo(3 - 1.4 + 3 * 0.7 - 0.4, 9)
    expect(probability).toBeCloseTo(1 / (1 + Math.exp(-logOdds)), 12)
  })

  test("is the sum of its reasons to the last bit, in any order", () => {
    const input = { usage_decline_8w: 0.777, unrecovered_invoices_30d: 1, negative_tickets_30d: 1, new_card_needed: 1 }
    const { logOdds, base, reasons } = scoreByRules(input, 0.0371)
    expect(reasons.reduce((sum, reason) => sum + reason.logOdds, base)).toBe(logOdds)
    expect(reasons.toReversed().reduce((sum, reason) => sum + reason.logOdds, base)).toBe(logOdds)
  })

  test("knows a feature by a finite number, also where it adds nothing", () => {
    const all = Object.fromEntries(RULE_FEATURES.map((feature) => [feature, 0]))
    expect(scoreByRules(all).coverage).toBe(1)
    expect(scoreByRules({ ...all, paused: null, long_plan: undefined }).coverage).toBe(12 / 14)
    const unknown = { paused: "1", disputes_365d: Number.NaN, upgrades_90d: Number.POSITIVE_INFINITY, other: 1 }
    expect(scoreByRules(unknown)).toMatchObject({ reasons: [], coverage: 0 })
  })

  test.each([
    [undefined, BASE_RATE_UNKNOWN],
    [Number.NaN, BASE_RATE_UNKNOWN],
    [Number.POSITIVE_INFINITY, BASE_RATE_UNKNOWN],
    [0.2, 0.2],
    [0, 1e-4],
    [-1, 1e-4],
    [0.95, 0.9],
    [2, 0.9],
  ])("with a base rate of %s starts at %s", (baseRate, expected) => {
    expect(scoreByRules({}, baseRate).probability).toBeCloseTo(expected, 9)
  })
})
