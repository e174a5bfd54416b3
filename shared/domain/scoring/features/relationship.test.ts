import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { MONTHLY, on } from "../../../../test/support/events/facts.ts"
import { daysBefore, viewOn } from "../../../../test/support/events/ledger.ts"
import type { Fact, SubscriptionItem, SubscriptionSnapshot } from "../../facts.ts"
import { relationshipFeatures } from "./relationship.ts"

const TODAY = 500
const ago = (days: number) => daysBefore(TODAY, days)
const featuresOf = (...facts: readonly Fact[]) => relationshipFeatures(viewOn(TODAY, facts))

const price = (unitAmountMinor: number | null, interval: SubscriptionItem["interval"] = "month") => ({
  items: [{ ...MONTHLY, unitAmountMinor, interval }],
})
const started = (given: Partial<SubscriptionSnapshot> = {}, daysAgo = 450) =>
  make.subscription("subscription_started", { at: ago(daysAgo), startedAt: ago(daysAgo), ...price(1_000), ...given })
const changed = (daysAgo: number, given: Partial<SubscriptionSnapshot> = {}) =>
  make.subscription("subscription_changed", { at: ago(daysAgo), ...given })

test("a customer of whom nothing is known has changed nothing", () => {
  expect(featuresOf()).toEqual({
    upgrades_90d: 0,
    upgrades_365d: 0,
    downgrades_30d: 0,
    downgrades_90d: 0,
    downgrades_365d: 0,
    price_change_365d: 1,
    nudges_30d: 0,
    nudges_90d: 0,
    clicks_90d: 0,
    opted_out: 0,
    cancel_scheduled: 0,
    withdrawn_cancellations: 0,
    paused: 0,
    pauses_365d: 0,
    discount: 0,
  })
})

describe("a change of plan", () => {
  const UP = { upgrades_90d: 1, upgrades_365d: 1, downgrades_365d: 0 }
  const DOWN = { downgrades_30d: 1, downgrades_90d: 1, downgrades_365d: 1, upgrades_365d: 0 }
  const NONE = { upgrades_365d: 0, downgrades_365d: 0, price_change_365d: 1 }

  test.each<[string, Fact, Fact, Partial<ReturnType<typeof featuresOf>>]>([
    ["to a higher price is an upgrade", started(), changed(9, price(2_000)), { ...UP, price_change_365d: 2 }],
    ["to a lower price is a downgrade", started(), changed(9, price(500)), { ...DOWN, price_change_365d: 0.5 }],
    ["of one per cent is rounding", started(), changed(9, price(1_010)), NONE],
    ["down one per cent is rounding", started(), changed(9, price(990)), NONE],
    ["of more than one per cent is an upgrade", started(), changed(9, price(1_011)), UP],
    ["down more than one per cent is a downgrade", started(), changed(9, price(989)), DOWN],
    ["to a year at a discount is no downgrade", started(), changed(9, price(7_800, "year")), NONE],
    ["to a year for much less is a downgrade", started(), changed(9, price(7_700, "year")), DOWN],
    ["to a year at a higher price is an upgrade", started(), changed(9, price(13_000, "year")), UP],
    ["from a year at a discount is no upgrade", started(price(12_000, "year")), changed(9, price(1_538)), NONE],
    ["from a year to much more is an upgrade", started(price(12_000, "year")), changed(9, price(1_539)), UP],
    ["from a year to a lower price is a downgrade", started(price(12_000, "year")), changed(9, price(900)), DOWN],
    ["of the currency is not compared", started(), changed(9, { ...price(2_000), currency: "eur" }), NONE],
    ["from a free plan is not compared", started(price(0)), changed(9, price(2_000)), NONE],
    ["to a free plan is not compared", started(), changed(9, price(0)), NONE],
    ["to an unknown price is not compared", started(), changed(9, price(null)), NONE],
    ["to a hundred times the price is capped", started(), changed(9, price(200_000)), { price_change_365d: 100 }],
    ["to a hundredth of the price is capped", started(), changed(9, price(1)), { price_change_365d: 0.01 }],
    ["of another subscription is its own", started(), changed(9, { ...price(5_000), subscriptionId: "sub_2" }), NONE],
  ])("%s", (_, before, after, expected) => {
    expect(featuresOf(before, after)).toMatchObject(expected)
  })

  test.each(["subscription_started", "subscription_changed", "subscription_resumed"] as const)(
    "may come with %s",
    (kind) => {
      expect(featuresOf(started(), make.subscription(kind, { at: ago(9), ...price(2_000) }))).toMatchObject(UP)
    },
  )

  test("may come with an announced cancellation", () => {
    const announced = make.cancellationAnnounced({ at: ago(9), cancelAt: on(TODAY + 9), ...price(500) })
    expect(featuresOf(started(), announced)).toMatchObject(DOWN)
  })

  test("is compared with the last known price", () => {
    expect(featuresOf(started(), changed(20, price(null)), changed(9, price(2_000)))).toMatchObject(UP)
    const changes = [changed(20, price(2_000)), changed(9, price(1_000))]
    expect(featuresOf(started(), ...changes)).toMatchObject({
      upgrades_365d: 1,
      downgrades_365d: 1,
      price_change_365d: 1,
    })
  })

  test("is counted for 30 days, 90 days and a year", () => {
    const prices = [1_000, 2_000, 1_000, 2_000, 1_000, 2_000, 1_000]
    const days = [366, 365, 91, 90, 31, 30]
    const facts = days.map((daysAgo, index) => changed(daysAgo, price(prices[index + 1] ?? 0)))
    expect(featuresOf(started(price(1_000)), ...facts)).toMatchObject({
      upgrades_90d: 1,
      upgrades_365d: 2,
      downgrades_30d: 1,
      downgrades_90d: 2,
      downgrades_365d: 3,
      price_change_365d: 0.5,
    })
  })

  test("is ordered by time, whichever kind of event it comes with, and by id in one second", () => {
    const cheaper = changed(9, price(500))
    const dearer = make.subscription("subscription_resumed", { at: ago(20), ...price(2_000) })
    expect(featuresOf(started(), cheaper, dearer)).toMatchObject({ price_change_365d: 0.5 })
    const sameSecond = (changedId: string, resumedId: string) => [
      make.subscription("subscription_changed", { at: ago(9), id: changedId, ...price(500) }),
      make.subscription("subscription_resumed", { at: ago(9), id: resumedId, ...price(2_000) }),
    ]
    expect(featuresOf(started(), ...sameSecond("b", "a")).price_change_365d).toBe(0.5)
    expect(featuresOf(started(), ...sameSecond("a", "b")).price_change_365d).toBe(2)
  })
})

describe("reminders and clicks", () => {
  test("count for 30 and for 90 days", () => {
    const sent = [91, 90, 31, 30].map((days) => make.nudgeSent({ at: ago(days) }))
    const clicks = [91, 90, 3].map((days) => make.linkClicked({ at: ago(days) }))
    expect(featuresOf(...sent, ...clicks)).toMatchObject({ nudges_30d: 1, nudges_90d: 3, clicks_90d: 2 })
  })

  test("that were caused by a score do not influence the next score", () => {
    const caseId = "at_risk_sub_1_20270101"
    const facts = [make.nudgeSent({ at: ago(5), caseId }), make.linkClicked({ at: ago(4), caseId })]
    expect(featuresOf(...facts)).toMatchObject({ nudges_30d: 0, nudges_90d: 0, clicks_90d: 0 })
    const other = "cancellation_at_risk_1"
    expect(featuresOf(make.nudgeSent({ at: ago(5), caseId: other }))).toMatchObject({ nudges_30d: 1 })
  })

  test("stop when the member asks for it, which is known for good", () => {
    expect(featuresOf(make.optedOut({ at: ago(450) })).opted_out).toBe(1)
  })
})

describe("a subscription", () => {
  const announced = make.cancellationAnnounced({ at: ago(9), cancelAt: on(TODAY + 20) })

  test("has a cancellation scheduled from the announcement until it is withdrawn or has ended", () => {
    expect(featuresOf(started(), announced)).toMatchObject({ cancel_scheduled: 1, withdrawn_cancellations: 0 })
    const withdrawn = make.subscription("subscription_resumed", { at: ago(5) })
    expect(featuresOf(started(), announced, withdrawn)).toMatchObject({
      cancel_scheduled: 0,
      withdrawn_cancellations: 1,
    })
    const ended = make.subscriptionEnded({ at: ago(5), cancelAt: ago(5) })
    expect(featuresOf(started(), announced, ended)).toMatchObject({ cancel_scheduled: 0, withdrawn_cancellations: 0 })
    expect(featuresOf(started(), announced, started({ subscriptionId: "sub_2" })).cancel_scheduled).toBe(1)
  })

  test("has a withdrawn cancellation only for cancellations, not for payments that were recovered", () => {
    const recovered = [make.paymentFailed({ at: ago(9) }), make.paymentSucceeded({ at: ago(8) })]
    expect(featuresOf(started(), ...recovered).withdrawn_cancellations).toBe(0)
  })

  test("is paused while it is, and its pauses count for a year", () => {
    const pause = (daysAgo: number) =>
      make.subscription("subscription_paused", { at: ago(daysAgo), paused: "requested" })
    expect(featuresOf(started(), pause(366), pause(365), pause(9))).toMatchObject({ paused: 1, pauses_365d: 2 })
    const resumed = make.subscription("subscription_resumed", { at: ago(5) })
    expect(featuresOf(started(), pause(9), resumed)).toMatchObject({ paused: 0, pauses_365d: 1 })
    const other = started({ subscriptionId: "sub_2" }, 3)
    expect(featuresOf(started(), pause(9), other).paused).toBe(1)
    expect(featuresOf(started(), pause(9), make.subscriptionEnded({ at: ago(5), paused: "requested" })).paused).toBe(0)
  })
})

describe("the discount", () => {
  const given = (daysAgo: number, percentOff: number, months: number) =>
    make.incentiveApplied({ at: ago(daysAgo), incentive: { kind: "discount", percentOff, months } })

  test.each<[string, readonly Fact[], number]>([
    ["is none without an incentive", [], 0],
    ["is none for free days", [make.incentiveApplied({ at: ago(1), incentive: { kind: "free_days", days: 30 } })], 0],
    ["is the largest of those that run", [given(20, 10, 3), given(15, 30, 3), given(10, 20, 3)], 30],
    ["runs for its months, of 30.4375 days each", [given(60.875, 20, 2)], 20],
    ["is over after them", [given(60.876, 20, 2)], 0],
    ["leaves out those that are over", [given(60, 50, 1), given(60, 20, 2)], 20],
  ])("%s", (_, facts, expected) => {
    expect(featuresOf(...facts).discount).toBe(expected)
  })
})
