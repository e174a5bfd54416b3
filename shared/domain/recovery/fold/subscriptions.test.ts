import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { subscriptionOf } from "../../state.ts"
import { rebuild } from "../fold.ts"

const { cancellationAnnounced, subscription, subscriptionEnded } = make
const casesAfter = (...facts: readonly Fact[]) => rebuild(facts).cases
const resumed = (day: number) => subscription("subscription_resumed", { at: on(day) })
const started = subscription("subscription_started", { at: on(0) })

describe("two snapshots of one second", () => {
  const second = (first: string, next: string) => [
    make.subscription("subscription_started", { at: on(0), status: "past_due" }),
    make.subscription("subscription_changed", { at: on(1), id: first, status: "past_due", replaced: {} }),
    make.subscription("subscription_changed", { at: on(1), id: next, replaced: { status: "past_due" } }),
  ]
  test.each([
    ["1", "2"],
    ["2", "1"],
  ])("are ordered by what they replaced, whatever their ids (%s, %s)", (first, next) => {
    expect(rebuild(second(first, next)).subscriptions).toMatchObject({ sub_1: { status: "active" } })
  })

  test.each([
    ["1", "2"],
    ["2", "1"],
  ])("end where they began when one takes the other back (%s, %s)", (first, next) => {
    const facts = [
      make.subscription("subscription_started", { at: on(0) }),
      make.subscription("subscription_changed", {
        at: on(1),
        id: first,
        status: "past_due",
        replaced: { status: "active" },
      }),
      make.subscription("subscription_changed", { at: on(1), id: next, replaced: { status: "past_due" } }),
    ]
    expect(rebuild(facts).subscriptions).toMatchObject({ sub_1: { status: "active" } })
  })
})

describe("two snapshots of one second that contradict each other", () => {
  const twice = (["past_due", "unpaid"] as const).map((status) =>
    make.subscription("subscription_changed", { at: on(1), id: status, status, replaced: { status: "active" } }),
  )
  const unsettledAfter = (...facts: readonly Fact[]) =>
    subscriptionOf(rebuild([make.subscription("subscription_started", { at: on(0) }), ...twice, ...facts]), "sub_1")

  test("mark the subscription, in either order", () => {
    expect(unsettledAfter()).toMatchObject({ unsettledAt: on(1) })
    expect(unsettledAfter(...twice.toReversed())).toEqual(unsettledAfter())
  })

  test("are settled by a later snapshot, fetched or received", () => {
    const later = make.subscription("subscription_changed", { at: on(2) })
    expect(unsettledAfter(later)).toMatchObject({ status: "active" })
    expect(unsettledAfter(later)).not.toHaveProperty("unsettledAt")
  })

  test("stay as they are where the provider does not have it", () => {
    const { unsettledAt: _, ...known } = unsettledAfter() ?? {}
    expect(unsettledAfter(make.subscriptionNotFound({ at: on(2) }))).toEqual(known)
    expect(unsettledAfter(make.subscriptionNotFound({ at: on(2), subscriptionId: "sub_2" }))).toEqual(unsettledAfter())
  })

  test("do not matter once it has ended, in that second or later", () => {
    const ended = make.subscriptionEnded({ at: on(1), status: "past_due" })
    expect(unsettledAfter(ended)).toMatchObject({ endedAt: on(1) })
    expect(unsettledAfter(ended)).not.toHaveProperty("unsettledAt")
    expect(unsettledAfter(make.subscriptionEnded({ at: on(2) }))).not.toHaveProperty("unsettledAt")
  })
})

describe("who asked for an end", () => {
  const announced = (given: object = {}) => make.cancellationAnnounced({ at: on(1), endBy: "member", ...given })

  test("a fixed term from the start is `other`, also when it is repeated", () => {
    const term = { cancelAt: on(120) }
    const started = make.subscription("subscription_started", { at: on(0), ...term })
    const repeated = make.subscription("subscription_changed", { at: on(1), ...term, endBy: "member" })
    expect(rebuild([started, repeated]).cases).toEqual([])
  })

  test("an extended term stays `other`; an earlier end is the member's", () => {
    const started = make.subscription("subscription_started", { at: on(0), cancelAt: on(120) })
    const moved = (day: number) =>
      make.subscription("subscription_changed", { at: on(1), cancelAt: on(day), endBy: "member" })
    expect(rebuild([started, moved(180)]).cases).toEqual([])
    expect(rebuild([started, moved(30)]).cases).toMatchObject([{ kind: "cancellation", status: "open" }])
  })

  test("another subscription that was just started, or is started next, makes it a change of plan", () => {
    const bought = (day: number) =>
      make.subscription("subscription_started", { at: on(day), subscriptionId: "sub_2", startedAt: on(day) })
    expect(rebuild([bought(0), announced()]).cases).toEqual([])
    expect(rebuild([announced(), bought(2)]).cases).toMatchObject([{ status: "recovered", closeReason: "switched" }])
    const ended = make.subscriptionEnded({ at: on(20) })
    expect(rebuild([announced(), bought(2), ended]).cases.map(({ status }) => status)).toEqual(["recovered"])
    expect(rebuild([bought(-60), announced(), ended]).cases).toMatchObject([{ status: "lost" }])
  })
})

describe("a cancellation case", () => {
  test("opens when an end is announced, worth one period", () => {
    const items = [
      { ...make.MONTHLY, quantity: 3 },
      { ...make.MONTHLY, usageType: "metered" as const },
    ]
    expect(casesAfter(started, cancellationAnnounced({ at: on(1), items }))).toMatchObject([
      {
        id: "cancellation_sub_1_1",
        kind: "cancellation",
        status: "open",
        amountMinor: 5_997,
        currency: "usd",
        openedAt: on(1),
      },
    ])
  })

  test("opens also where the announcement itself was missed", () => {
    const changed = subscription("subscription_changed", { at: on(1), cancelAt: on(30) })
    expect(casesAfter(started, changed)).toHaveLength(1)
  })

  test("opens once, however often the announcement is reported", () => {
    const again = subscription("subscription_changed", { at: on(2), cancelAt: on(30) })
    expect(casesAfter(cancellationAnnounced({ at: on(1) }), cancellationAnnounced({ at: on(2) }), again)).toHaveLength(
      1,
    )
  })

  test("is recovered when the announcement is withdrawn", () => {
    expect(casesAfter(cancellationAnnounced({ at: on(1) }), resumed(3))).toMatchObject([
      { status: "recovered", closeReason: "resumed", closedAt: on(3), recoveredMinor: 0 },
    ])
  })

  test("is recovered also when it is withdrawn while the bill is unpaid", () => {
    const unpaid = subscription("subscription_changed", { at: on(3), status: "unpaid" })
    expect(casesAfter(cancellationAnnounced({ at: on(1) }), unpaid)).toMatchObject([{ closeReason: "resumed" }])
  })

  test("is lost at the end of the period", () => {
    expect(casesAfter(cancellationAnnounced({ at: on(1) }), subscriptionEnded({ at: on(30) }))).toMatchObject([
      { status: "lost", closeReason: "subscription_ended", closedAt: on(30) },
    ])
  })

  test("is lost when withdrawal and end share a second", () => {
    const facts = [subscriptionEnded({ at: on(5), id: "1" }), resumed(5), cancellationAnnounced({ at: on(5), id: "9" })]
    expect(casesAfter(cancellationAnnounced({ at: on(1) }), ...facts).map(({ status }) => status)).not.toContain("open")
  })

  test("opens a second time when a cancellation is announced again", () => {
    const again = [resumed(2), cancellationAnnounced({ at: on(3) })]
    expect(casesAfter(cancellationAnnounced({ at: on(1) }), ...again)).toMatchObject([
      { id: "cancellation_sub_1_1", status: "recovered" },
      { id: "cancellation_sub_1_2", status: "open", openedAt: on(3) },
    ])
  })

  test("that an operator closed stays closed while the announcement stands", () => {
    const closed = make.closedByOperator({ at: on(2), caseId: "cancellation_sub_1_1" })
    const later = subscription("subscription_changed", { at: on(3), cancelAt: on(30) })
    const facts = [cancellationAnnounced({ at: on(1) }), closed, later]
    expect(casesAfter(...facts)).toMatchObject([{ status: "lost", closeReason: "closed_by_operator" }])
    expect(casesAfter(...facts, resumed(4), cancellationAnnounced({ at: on(5) }))).toMatchObject([
      { closeReason: "closed_by_operator" },
      { id: "cancellation_sub_1_2", status: "open" },
    ])
  })

  test("opens again for a subscription that was resumed after an operator had closed the first", () => {
    const facts = [
      cancellationAnnounced({ at: on(1) }),
      make.closedByOperator({ at: on(2), caseId: "cancellation_sub_1_1" }),
      subscriptionEnded({ at: on(30), cancelAt: on(30) }),
      subscription("subscription_resumed", { at: on(40), cancelAt: on(70) }),
    ]
    expect(casesAfter(...facts)).toHaveLength(2)
  })

  test.each([
    ["a trial", { status: "trialing", trialEnd: on(7) }],
    ["a trial whose first bill fails", { status: "past_due", trialEnd: on(0) }],
    ["a trial that ended without a payment method", { status: "paused", trialEnd: on(0), paused: "payment_failure" }],
    ["a start that was never paid", { status: "incomplete" }],
    ["a bill that the provider has given up", { status: "unpaid" }],
  ] as const)("does not open for %s", (_, fields) => {
    expect(casesAfter(cancellationAnnounced({ at: on(1), ...fields }))).toEqual([])
  })

  test("opens for a trial of somebody who has paid before", () => {
    const paid = make.paymentSucceeded({ at: on(-30), invoiceId: "in_0" })
    expect(casesAfter(paid, cancellationAnnounced({ at: on(1), status: "trialing", trialEnd: on(7) }))).toHaveLength(1)
  })

  test("opens for a customer past due whose trial is long over, though we saw no payment", () => {
    const facts = cancellationAnnounced({ at: on(20), status: "past_due", trialEnd: on(0) })
    expect(casesAfter(facts)).toHaveLength(1)
  })

  test("does not open for an end that nobody announced", () => {
    expect(casesAfter(started, subscriptionEnded({ at: on(3) }))).toEqual([])
  })
})

describe("a subscription", () => {
  const stateAfter = (...facts: readonly Fact[]) => subscriptionOf(rebuild(facts), "sub_1")

  test("stays ended when an older snapshot comes with a later time", () => {
    const late = subscription("subscription_changed", { at: on(6), status: "active" })
    expect(stateAfter(started, subscriptionEnded({ at: on(5) }), late)).toMatchObject({
      status: "canceled",
      endedAt: on(5),
    })
  })

  test("comes back when the provider resumes it", () => {
    expect(stateAfter(subscriptionEnded({ at: on(5) }), resumed(6))).toMatchObject({ status: "active", endedAt: null })
  })

  test("that never started was not canceled", () => {
    const ended = subscriptionEnded({ at: on(1), status: "incomplete_expired" })
    expect(stateAfter(ended)?.status).toBe("incomplete_expired")
  })

  test("keeps an unknown status", () => {
    expect(stateAfter(subscription("subscription_changed", { at: on(1), status: "unknown" }))?.status).toBe("unknown")
  })

  test("keeps what an event does not repeat: price, currency, period and trial", () => {
    const full = subscription("subscription_started", { at: on(0), currentPeriodEnd: on(30), trialEnd: on(7) })
    const poor = subscription("subscription_changed", {
      at: on(1),
      currency: null,
      items: [{ ...make.MONTHLY, unitAmountMinor: null, interval: null }],
    })
    expect(stateAfter(full, poor)).toEqual(stateAfter(full))
    expect(stateAfter(full, subscription("subscription_changed", { at: on(1), items: [] }))?.items).toEqual([
      make.MONTHLY,
    ])
  })

  test("counts as paid whichever is reported first, the payment or the subscription", () => {
    for (const day of [-1, 1]) {
      expect(stateAfter(started, make.paymentSucceeded({ at: on(day) }))?.hasPaid).toBe(true)
    }
  })
})
