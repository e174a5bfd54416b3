import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { MONTHLY, on } from "../../../../test/support/events/facts.ts"
import { viewOn } from "../../../../test/support/events/ledger.ts"
import type { Fact, SubscriptionItem, SubscriptionSnapshot } from "../../facts.ts"
import { mainSubscription, tenureFeatures } from "./tenure.ts"

const DAYS_OF_A_MONTH = 365.25 / 12
const on100 = (...facts: readonly Fact[]) => tenureFeatures(viewOn(100, facts))
const started = (given: Partial<SubscriptionSnapshot> = {}, day = 0) =>
  make.subscription("subscription_started", { at: on(day), startedAt: on(day), ...given })
const every = (interval: SubscriptionItem["interval"], intervalCount = 1, unitAmountMinor: number | null = 1_200) => ({
  items: [{ ...MONTHLY, interval, intervalCount, unitAmountMinor }],
})

test("of a customer without a subscription nothing is known", () => {
  expect(on100()).toEqual({
    tenure_days: null,
    interval: null,
    days_to_renewal: null,
    long_renewal_due: null,
    long_plan: null,
    on_trial: 0,
    returns: 0,
  })
})

describe("the billing interval", () => {
  test.each<[SubscriptionItem["interval"], number, string | null]>([
    ["day", 1, "shorter"],
    ["week", 3, "shorter"],
    ["week", 4, "month"],
    ["month", 1, "month"],
    ["month", 2, "month"],
    ["month", 3, "quarter"],
    ["month", 4, "quarter"],
    ["month", 5, "half_year"],
    ["month", 6, "half_year"],
    ["month", 8, "half_year"],
    ["month", 9, "year"],
    ["year", 1, "year"],
    ["month", 14, "year"],
    ["month", 15, "longer"],
    ["year", 2, "longer"],
    [null, 1, null],
  ])("of %s × %i is %s", (interval, count, expected) => {
    expect(on100(started(every(interval, count))).interval).toBe(expected)
  })
})

describe("the renewal", () => {
  test.each<[string, Partial<SubscriptionSnapshot>, number | null]>([
    ["is at the end of the period", { currentPeriodEnd: on(120) }, 20],
    ["is now, where the period ends now", { currentPeriodEnd: on(100) }, 0],
    ["is due while its invoice is at most three days late", { currentPeriodEnd: on(97) }, 0],
    ["is assumed a period later, where it was not reported", { currentPeriodEnd: on(96) }, DAYS_OF_A_MONTH - 4],
    ["is assumed as many periods later as have passed", { currentPeriodEnd: on(50) }, 2 * DAYS_OF_A_MONTH - 50],
    ["is counted from the start, where no period is known", { startedAt: on(90) }, DAYS_OF_A_MONTH - 10],
    ["is counted from a start a day ago without being late", { startedAt: on(99) }, DAYS_OF_A_MONTH - 1],
    ["is when it starts, where that is now", { startedAt: on(100), ...every(null) }, 0],
    ["is unknown without a period or a start", { startedAt: null }, null],
    [
      "is unknown where the period has passed and its length is not known",
      { currentPeriodEnd: on(50), ...every(null) },
      null,
    ],
    [
      "is known where the period lasts, though its length is not known",
      { currentPeriodEnd: on(120), ...every(null) },
      20,
    ],
  ])("%s", (_, given, days) => {
    expect(on100(started(given)).days_to_renewal).toEqual(days === null ? null : expect.closeTo(days, 9))
  })

  test.each<[string, Partial<SubscriptionSnapshot>, Readonly<Record<string, 0 | 1 | null>>]>([
    [
      "of a yearly plan within 30 days is due",
      { ...every("year"), currentPeriodEnd: on(129) },
      { long_renewal_due: 1, long_plan: 0 },
    ],
    [
      "of a yearly plan in 30 days is not due",
      { ...every("year"), currentPeriodEnd: on(130) },
      { long_renewal_due: 0, long_plan: 1 },
    ],
    [
      "of a monthly plan is not counted",
      { ...every("month"), currentPeriodEnd: on(110) },
      { long_renewal_due: 0, long_plan: 0 },
    ],
    [
      "of two months is that of a long plan",
      { ...every("month", 2), currentPeriodEnd: on(110) },
      { long_renewal_due: 1, long_plan: 0 },
    ],
    ["of six weeks is not", { ...every("week", 6), currentPeriodEnd: on(110) }, { long_renewal_due: 0, long_plan: 0 }],
    ["of an unknown date is not due", { ...every("year"), startedAt: null }, { long_renewal_due: 0, long_plan: 1 }],
    [
      "of an unknown interval is unknown",
      { ...every(null), currentPeriodEnd: on(110) },
      { long_renewal_due: null, long_plan: null },
    ],
  ])("%s", (_, given, expected) => {
    expect(on100(started(given))).toMatchObject(expected)
  })
})

describe("a customer", () => {
  const gone = (day: number) => make.subscriptionEnded({ at: on(day) })
  const back = (day: number) => make.subscription("subscription_resumed", { at: on(day) })

  test.each<[string, readonly Fact[], Partial<ReturnType<typeof on100>>]>([
    ["who stayed has never returned", [started()], { tenure_days: 100, returns: 0 }],
    [
      "who is in a trial has no tenure yet",
      [started({ status: "trialing" })],
      { tenure_days: null, returns: 0, on_trial: 1 },
    ],
    ["who left keeps the days since the start", [started(), gone(20)], { tenure_days: 100, returns: 1, on_trial: 0 }],
    ["who returned starts again", [started(), gone(20), back(60)], { tenure_days: 40, returns: 1 }],
    [
      "who returned twice has two returns",
      [started(), gone(5), back(40), gone(45), back(90)],
      { tenure_days: 10, returns: 2 },
    ],
  ])("%s", (_, facts, expected) => {
    expect(on100(...facts)).toMatchObject(expected)
  })
})

describe("the main subscription", () => {
  const idOf = (...facts: readonly Fact[]) => mainSubscription(viewOn(100, facts))?.id
  const two = (a: Partial<SubscriptionSnapshot>, b: Partial<SubscriptionSnapshot>) => {
    const given = [
      { subscriptionId: "sub_a", ...a },
      { subscriptionId: "sub_b", ...b },
    ]
    // The one with the lower id of its fact becomes known first.
    return [given, given.toReversed()].map((order) => idOf(...order.map((one, n) => ({ ...started(one), id: `${n}` }))))
  }

  test.each<[string, Partial<SubscriptionSnapshot>, Partial<SubscriptionSnapshot>]>([
    ["has access, whatever the price of others", { ...every("month", 1, 9_900), status: "unpaid" }, {}],
    ["has the highest price of those with access", { startedAt: on(9) }, every("month", 1, 9_900)],
    ["is free rather than of an unknown price", every("month", 1, null), every("month", 1, 0)],
    [
      "has the highest price, where none has access",
      { status: "unpaid" },
      { status: "unpaid", ...every("month", 1, 9_900) },
    ],
    ["is the newest of equal prices", { startedAt: on(-9) }, { startedAt: on(-3) }],
    ["has a known start, where others have none", { startedAt: null }, {}],
  ])("%s", (_, other, main) => {
    expect(two(other, main)).toEqual(["sub_b", "sub_b"])
    expect(two(main, other)).toEqual(["sub_a", "sub_a"])
  })

  test("is the first by id where nothing else differs", () => {
    expect(two({}, {})).toEqual(["sub_a", "sub_a"])
  })

  test("is none without a subscription", () => {
    expect(idOf()).toBeUndefined()
  })
})
