import { describe, expect, test } from "vitest"
import {
  nudgeSent,
  paymentFailed,
  paymentSucceeded,
  subscription,
  subscriptionEnded,
} from "../../../test/support/events/facts.ts"
import type { Fact, SubscriptionItem } from "../facts.ts"
import { type FeatureName, featureSchema, features, type LedgerFact, modelFeatures, vectorOf } from "./features.ts"

const DAY_MS = 86_400_000
const on = (day: number): string => new Date(Date.parse("2026-01-01T00:00:00.000Z") + day * DAY_MS).toISOString()
const known = (facts: readonly Fact[]): LedgerFact[] =>
  facts.map((fact, i) => ({ ...fact, id: `f${i}`, knownAt: fact.occurredAt }))
const at = (day: number, facts: readonly Fact[]) => features(known(facts), on(day))

const price = (unitAmountMinor: number, interval: SubscriptionItem["interval"] = "month"): SubscriptionItem => ({
  ...{ priceId: "p", productId: null, unitAmountMinor, quantity: 1, interval, intervalCount: 1, usageType: "licensed" },
})
const started = (more: Parameters<typeof subscription>[1]) =>
  subscription("subscription_started", { currency: "usd", startedAt: more.at, items: [price(1_900)], ...more })
const changed = (day: number, items: readonly SubscriptionItem[]) =>
  subscription("subscription_changed", { at: on(day), currency: "usd", startedAt: on(0), items })
const used = (day: number, quantity: number, meter = "logins"): Fact => ({
  ...{ id: `u${day}${meter}`, occurredAt: on(day), kind: "usage_recorded", meter, quantity, subscriptionId: null },
})

describe("tenure and renewal", () => {
  test("a trial does not count as tenure, and returning within the grace period does not restart it", () => {
    const trial = started({ at: on(0), status: "trialing", trialEnd: on(14) })
    expect(at(10, [trial])).toMatchObject({ tenure_days: null, on_trial: 1 })
    const paying = subscription("subscription_changed", {
      at: on(14),
      startedAt: on(0),
      trialEnd: on(14),
      status: "active",
    })
    const back = subscription("subscription_resumed", { at: on(60), startedAt: on(0), status: "active" })
    const gone = subscriptionEnded({ at: on(40) })
    expect(at(30, [trial, paying])).toMatchObject({ tenure_days: 16, on_trial: 0 })
    expect(at(70, [trial, paying, gone, back])).toMatchObject({ tenure_days: 56, returns: 0 })
  })

  test("returning after the grace period is a return, and tenure restarts", () => {
    const facts = [
      started({ at: on(0) }),
      subscriptionEnded({ at: on(40) }),
      subscription("subscription_resumed", { at: on(100), startedAt: on(0) }),
    ]
    expect(at(110, facts)).toMatchObject({ tenure_days: 10, returns: 1 })
  })

  test("a subscription seen for the first time counts from its start", () => {
    const seen = subscription("subscription_changed", { at: on(200), startedAt: on(0), items: [price(1_900)] })
    expect(at(201, [seen]).tenure_days).toBe(201)
  })

  test("the active subscription with the highest price determines the renewal", () => {
    const yearly = started({
      at: on(1),
      subscriptionId: "sub_b",
      items: [price(99_000, "year")],
      currentPeriodEnd: on(20),
    })
    const monthly = started({ at: on(0), subscriptionId: "sub_a", currentPeriodEnd: on(31) })
    expect(at(10, [monthly, yearly])).toMatchObject({ interval: "year", days_to_renewal: 10, long_renewal_due: 1 })
  })

  test("a period without a reported renewal is assumed to have repeated", () => {
    const { days_to_renewal } = at(100, [started({ at: on(0), currentPeriodEnd: on(31) })])
    expect(days_to_renewal).toBeGreaterThan(0)
    expect(days_to_renewal).toBeLessThan(31)
  })
})

describe("prices and plans", () => {
  test.each([
    ["an equivalent amount in another currency", "jpy", 1_900, "up_to_30"],
    ["minor units with two decimals", "usd", 1_900, "up_to_30"],
    ["a free plan", "usd", 0, "free"],
    ["a very high price", "usd", 100_000, "above_300"],
  ])("%s", (_, currency, amount, expected) => {
    expect(at(5, [started({ at: on(0), currency, items: [price(amount)] })]).price_class).toBe(expected)
  })

  test("a lower price is a downgrade, a discount for yearly billing is not", () => {
    const begin = started({ at: on(0), items: [price(7_900)] })
    expect(at(20, [begin, changed(10, [price(1_900)])])).toMatchObject({ downgrades_30d: 1, upgrades_90d: 0 })
    expect(at(20, [begin, changed(10, [price(79_000, "year")])])).toMatchObject({ downgrades_30d: 0, upgrades_90d: 0 })
    expect(at(20, [begin, changed(10, [price(7_900)])])).toMatchObject({ downgrades_30d: 0, price_change_365d: 1 })
    expect(at(50, [begin, changed(10, [price(1_900)])])).toMatchObject({ downgrades_30d: 0, downgrades_90d: 1 })
  })
})

describe("payments", () => {
  test("an invoice counts once, however many attempts and facts it has", () => {
    const bill = { invoiceId: "in_1", subscriptionId: "sub_1" }
    const attempts = [0, 3, 5].map((day, i) => paymentFailed({ at: on(day), ...bill, attempt: i + 1 }))
    expect(at(6, attempts)).toMatchObject({
      failed_invoices_30d: 1,
      failed_attempts_30d: 3,
      unrecovered_invoices_30d: 1,
    })
    const paid = paymentSucceeded({ at: on(7), ...bill })
    expect(at(8, [...attempts, paid])).toMatchObject({
      unrecovered_invoices_30d: 0,
      recovered_invoices_90d: 1,
      payments: 1,
    })
    expect(at(40, [...attempts, paid])).toMatchObject({
      failed_invoices_30d: 0,
      failed_invoices_90d: 1,
      days_since_failure: 35,
    })
  })
})

describe("usage", () => {
  const weekly = (quantities: readonly number[]) => quantities.map((quantity, week) => used(7 * (week + 1), quantity))

  test("is compared with the customer's own past", () => {
    const facts = weekly([10, 10, 10, 10, 10, 10, 10, 10, 5, 5, 5, 5])
    expect(at(85, facts)).toMatchObject({
      usage_4w_ratio: 0.5,
      usage_8w_ratio: 0.5,
      usage_decline_8w: 0.5,
      zero_usage_4w: 0,
    })
    expect(at(85, facts).usage_drop_8w).toBeCloseTo(1 - 6 / 11)
  })

  test("each meter is measured against itself", () => {
    const facts = [
      ...weekly([10, 10, 10, 10, 5, 5, 5, 5]),
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((week) => used(7 * week, 1e6, "bytes")),
    ]
    expect(at(57, facts).usage_4w_ratio).toBe(0.75)
  })

  test("no usage in four weeks differs from usage that is not reported", () => {
    expect(at(60, weekly([3, 3, 3]))).toMatchObject({
      usage_known: 1,
      zero_usage_4w: 1,
      zero_usage_weeks: 4,
      days_since_usage: 39,
    })
    expect(at(60, [])).toMatchObject({ usage_known: 0, zero_usage_4w: null, usage_8w_ratio: null })
  })
})

test("a model has numbers and categories with their levels, in the order of the schema", () => {
  expect(modelFeatures.slice(0, 3)).toEqual([
    { name: "tenure_days", type: "number" },
    { name: "interval", type: "category", levels: ["shorter", "month", "quarter", "half_year", "year", "longer"] },
    { name: "days_to_renewal", type: "number" },
  ])
  const values = at(30, [started({ at: on(0), currentPeriodEnd: on(31) })])
  expect(vectorOf(values).slice(0, 3)).toEqual([30, "month", 1])
  expect(vectorOf(values)).toHaveLength(featureSchema.length)
})

test("reminders sent because of a score do not influence the next score", () => {
  const sent = (day: number, caseId: string) => nudgeSent({ at: on(day), caseId, nudgeId: `${caseId}.0.email` })
  const facts = [sent(1, "payment_in_1"), sent(2, "at_risk_sub_1_20260102"), sent(3, "cancellation_sub_1_1")]
  expect(at(10, facts)).toMatchObject({ nudges_30d: 2, nudges_90d: 2 })
})

test("each feature has a unique name, a readable label, a group and, as a number, a direction", () => {
  const names = featureSchema.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(modelFeatures.map(({ name }) => name)).toEqual(names)
  const values = at(1, [])
  expect(Object.keys(values).sort()).toEqual([...names].sort())
  for (const { label, levels, direction } of featureSchema) {
    expect(label).toMatch(/^[a-z].{5,60}$/)
    if (levels) expect(direction).toBe(0)
  }
  const unknown: FeatureName[] = ["tenure_days", "interval", "days_since_failure", "usage_4w_ratio"]
  expect(unknown.map((name) => values[name])).toEqual([null, null, null, null])
})
