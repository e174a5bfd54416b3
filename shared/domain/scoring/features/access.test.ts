import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import { type Fact, inLedgerOrder, type SubscriptionSnapshot } from "../../facts.ts"
import { EMPTY_STATE, type SubscriptionState } from "../../state.ts"
import { type AccessPeriod, accessHistory, grantsAccess, joinPeriods } from "./access.ts"

const DAY_MS = 86_400_000
const periodsOf = (...facts: readonly Fact[]) => accessHistory(inLedgerOrder(facts)).periods
const began = make.subscription("subscription_started", { at: on(0), startedAt: on(0) })
const changed = (day: number, given: Partial<SubscriptionSnapshot> = {}) =>
  make.subscription("subscription_changed", { at: on(day), startedAt: on(0), ...given })
const ended = (day: number, reason: string, given: Partial<SubscriptionSnapshot> = {}) =>
  ({ ...make.subscriptionEnded({ at: on(day), ...given }), reason }) as Fact

describe("a subscription gives access", () => {
  test.each<[string, Partial<SubscriptionState>, boolean]>([
    ["while it is paid", {}, true],
    ["while its payment is being retried", { status: "past_due" }, true],
    ["during a pause that the member requested", { paused: "requested" }, true],
    ["but not in a trial", { status: "trialing" }, false],
    ["but not before its first payment", { status: "incomplete" }, false],
    ["but not after the provider gave up its payment", { status: "unpaid" }, false],
    ["but not while it is paused for want of a payment", { paused: "payment_failure" }, false],
    ["but not after its end", { endedAt: on(3) }, false],
  ])("%s", (_, change, expected) => {
    const subscription = accessHistory([began]).state.subscriptions.sub_1
    if (subscription === undefined) throw new Error("no subscription")
    expect(grantsAccess({ ...subscription, ...change })).toBe(expected)
  })
})

describe("a period of access", () => {
  test("lasts from the first paid day to the end of the subscription", () => {
    expect(periodsOf(began)).toEqual([{ from: on(0), to: null, end: null }])
    expect(periodsOf(began, ended(9, "requested"))).toEqual([{ from: on(0), to: on(9), end: "voluntary" }])
  })

  test("is interrupted while the provider has stopped service, and goes on when it is paid again", () => {
    expect(periodsOf(began, changed(5, { status: "unpaid" }), changed(8))).toEqual([
      { from: on(0), to: on(5), end: "payment_failure" },
      { from: on(8), to: null, end: null },
    ])
  })

  test("ends with the event of a subscription that has not ended, whatever end it states", () => {
    expect(periodsOf(began, changed(5, { status: "unpaid", endedAt: on(3) }))).toMatchObject([{ to: on(5) }])
  })

  test("lasts as long as any subscription gives access", () => {
    const other = make.subscription("subscription_started", { at: on(3), subscriptionId: "sub_2", startedAt: on(3) })
    expect(periodsOf(began, other, ended(5, "requested"))).toEqual([{ from: on(0), to: null, end: null }])
    expect(periodsOf(began, other, ended(5, "requested"), ended(7, "policy", { subscriptionId: "sub_2" }))).toEqual([
      { from: on(0), to: on(7), end: "other" },
    ])
  })

  test("does not begin with an event of a subscription without access", () => {
    expect(periodsOf(changed(1, { status: "incomplete" }), changed(2, { status: "unpaid" }))).toEqual([])
  })

  test.each<[string, Partial<SubscriptionSnapshot>, string]>([
    ["the start of a subscription that is seen for the first time", { startedAt: on(-60) }, on(-60)],
    ["the end of its trial", { startedAt: on(-60), trialEnd: on(-46) }, on(-46)],
    ["its start, where the trial was over before", { startedAt: on(-60), trialEnd: on(-70) }, on(-60)],
    ["the event, where no start is known", { startedAt: null, trialEnd: on(-46) }, on(0)],
    ["the event, where the start is still to come", { startedAt: on(2) }, on(0)],
  ])("begins with %s", (_, given, from) => {
    expect(periodsOf(changed(0, given))).toEqual([{ from, to: null, end: null }])
  })

  test("begins when a trial turns into a paid subscription, not with the trial", () => {
    const trial = make.subscription("subscription_started", { at: on(0), startedAt: on(0), status: "trialing" })
    expect(periodsOf(trial, changed(14))).toEqual([{ from: on(14), to: null, end: null }])
  })

  test("never begins before the last one ended", () => {
    const seenLate = make.subscription("subscription_changed", {
      ...{ at: on(20), subscriptionId: "sub_2", startedAt: on(3) },
    })
    expect(periodsOf(began, ended(9, "requested"), seenLate)[1]).toEqual({ from: on(9), to: null, end: null })
  })

  test.each([
    ["the time that the provider states", on(7), on(7)],
    ["the event, where the stated time is before the period", on(-3), on(9)],
    ["the event, where the stated time is the beginning of the period", on(0), on(9)],
    ["the event, where the stated time is still to come", on(30), on(9)],
  ])("ends with %s", (_, endedAt, to) => {
    expect(periodsOf(began, ended(9, "requested", { endedAt }))).toEqual([{ from: on(0), to, end: "voluntary" }])
  })
})

describe("access is lost", () => {
  const failed = (given: Parameters<typeof make.paymentFailed>[0]) => make.paymentFailed(given)

  test.each<[string, readonly Fact[], string]>([
    ["voluntarily, where the member asked for the end", [ended(9, "requested")], "voluntary"],
    ["by a payment that failed", [ended(9, "payment_failed")], "payment_failure"],
    ["by a payment that was disputed", [ended(9, "payment_disputed")], "payment_failure"],
    ["by the company's policy", [ended(9, "policy")], "other"],
    ["voluntarily, where no reason is known and nothing is unpaid", [ended(9, "unknown")], "voluntary"],
    [
      "by its unpaid invoice, where no reason is known",
      [failed({ at: on(5) }), ended(9, "unknown")],
      "payment_failure",
    ],
    [
      "by an invoice that was written off",
      [failed({ at: on(5) }), make.invoiceUncollectible({ at: on(6) }), ended(9, "unknown")],
      "payment_failure",
    ],
    [
      "by an unpaid invoice without a subscription",
      [failed({ at: on(5), subscriptionId: null }), ended(9, "unknown")],
      "payment_failure",
    ],
    [
      "voluntarily, where another subscription's invoice is unpaid",
      [failed({ at: on(5), subscriptionId: "sub_2" }), ended(9, "unknown")],
      "voluntary",
    ],
    [
      "voluntarily, where the failed invoice was paid after all",
      [failed({ at: on(5) }), make.paymentSucceeded({ at: on(6) }), ended(9, "unknown")],
      "voluntary",
    ],
  ])("%s", (_, facts, end) => {
    expect(periodsOf(began, ...facts)).toEqual([{ from: on(0), to: on(9), end }])
  })
})

test("usage and support tickets leave the state as it is", () => {
  const ticket = { id: "t", occurredAt: on(1), ticketId: "t_1", isNegative: true } as const
  const signals: readonly Fact[] = [
    { id: "u", occurredAt: on(0), kind: "usage_recorded", meter: "logins", quantity: 3, subscriptionId: null },
    { ...ticket, kind: "ticket_opened" },
    { ...ticket, kind: "ticket_closed" },
  ]
  for (const signal of signals) expect(accessHistory([signal])).toEqual({ state: EMPTY_STATE, periods: [] })
})

describe("periods are joined", () => {
  const first: AccessPeriod = { from: on(0), to: on(10), end: "voluntary" }
  const next: AccessPeriod = { from: on(40), to: on(50), end: "other" }
  const last: AccessPeriod = { from: on(50), to: null, end: null }

  test.each<[string, readonly AccessPeriod[], number, readonly AccessPeriod[]]>([
    ["over a gap of exactly the grace period", [first, next], 30, [{ ...next, from: on(0) }]],
    ["not over a longer one", [first, next], 29, [first, next]],
    ["each with the one before", [first, next, last], 30, [{ from: on(0), to: null, end: null }]],
  ])("%s", (_, periods, days, joined) => {
    expect(joinPeriods(periods, days * DAY_MS)).toEqual(joined)
  })
})
