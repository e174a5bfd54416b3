/** What payments make of a case, from the failure to the refund. Longer than 300 lines: one life of an invoice, in order. */
import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import { asJsonb, canonical, StoredStream } from "../../../../../test/support/events/stored-stream.ts"
import type { Fact } from "../../../facts.ts"
import { type CaseState, failureCountOf, findCase, paymentOf } from "../../../state.ts"
import { rebuild } from "../../fold.ts"

const { paymentFailed, paymentSucceeded, chargeFailed, chargeSucceeded, subscription, subscriptionEnded } = make

/** The payment case of `in_1`; fails the test when there is none. */
function caseAfter(...facts: readonly Fact[]): CaseState {
  const found = findCase(rebuild(facts), "payment_in_1")
  if (!found) throw new Error("no case was opened")
  return found
}

const casesAfter = (...facts: readonly Fact[]) => rebuild(facts).cases

const MONEY = { amountMinor: 1_999, currency: "usd" }

describe("a payment case opens", () => {
  test("on the first failure of an invoice, with what is owed", () => {
    expect(casesAfter(paymentFailed({ at: on(0), declineCode: "expired_card" }))).toEqual([
      {
        id: "payment_in_1",
        kind: "payment",
        status: "open",
        subscriptionId: "sub_1",
        invoiceId: "in_1",
        amountMinor: 1_999,
        currency: "usd",
        declineCode: "expired_card",
        needsAuthentication: false,
        invoiceFailures: [`1@${on(0)}`],
        chargeFailures: [],
        openedAt: on(0),
        closedAt: null,
        closeReason: null,
        recoveredMinor: 0,
        newCard: null,
        disputeId: null,
      },
    ])
  })

  test("without an amount where the event states none, and with the one known from another event", () => {
    const unknown = { amountMinor: null, currency: null }
    const failure = paymentFailed({ at: on(0), ...unknown })
    expect(caseAfter(failure)).toMatchObject({ status: "open", amountMinor: 0, currency: null })
    expect(caseAfter(failure, paymentFailed({ at: on(3), attempt: 2 }))).toMatchObject(MONEY)
    expect(caseAfter(paymentFailed({ at: on(0) }), paymentFailed({ at: on(3), attempt: 2, ...unknown }))).toMatchObject(
      MONEY,
    )
  })

  test("and is recovered for all that was paid, also where the last payment of its parts is reported afterwards", () => {
    const [whole, part] = [paymentSucceeded({ at: on(1) }), { amountMinor: 999, currency: "usd" }]
    for (const at of [on(0, "23:59:59"), on(1, "10:00:01")]) {
      expect(caseAfter(paymentFailed({ at: on(0) }), whole, paymentSucceeded({ at, ...part }))).toMatchObject({
        ...{ status: "recovered", recoveredMinor: 1_999 },
      })
    }
  })

  test("without an amount, and is recovered for what was paid", () => {
    const unknown = { amountMinor: null, currency: null }
    const [failure, payment] = [paymentFailed({ at: on(0), ...unknown }), paymentSucceeded({ at: on(1) })]
    expect(caseAfter(failure, payment)).toMatchObject({ ...MONEY, status: "recovered", recoveredMinor: 1_999 })
    const paid = paymentSucceeded({ at: on(1), ...unknown })
    expect(caseAfter(paymentFailed({ at: on(0) }), paid)).toMatchObject({ ...MONEY, recoveredMinor: 1_999 })
    expect(caseAfter(failure, paid)).toMatchObject({ status: "recovered", currency: null, recoveredMinor: 0 })
  })

  test("and charges without an amount are matched only by their ids", () => {
    const unknown = { amountMinor: null, currency: null }
    const charge = chargeFailed({ at: on(0), chargeId: "ch_1", declineCode: "expired_card", ...unknown })
    expect(caseAfter(charge, paymentFailed({ at: on(0), ...unknown })).declineCode).toBeNull()
    expect(caseAfter(charge, paymentFailed({ at: on(0), chargeId: "ch_1" })).declineCode).toBe("expired_card")
  })

  test("and stays open when retries are switched off, because the member can still pay", () => {
    expect(caseAfter(paymentFailed({ at: on(0), nextAttemptAt: null })).status).toBe("open")
  })

  test("for a payment without attempt number or charge, as at Whop", () => {
    expect(caseAfter(paymentFailed({ at: on(0), attempt: null })).status).toBe("open")
  })

  test("not for the invoice that starts a subscription, however often it fails", () => {
    const first = { isFirstInvoice: true }
    expect(casesAfter(paymentFailed({ at: on(0), ...first }), paymentFailed({ at: on(3), attempt: 2 }))).toEqual([])
  })

  test("not for the first invoice after a trial, also when its retries continue beyond two weeks", () => {
    const trial = subscription("subscription_started", { at: on(-7), status: "trialing", trialEnd: on(0) })
    const facts = [paymentFailed({ at: on(0, "11:00:00") }), paymentFailed({ at: on(16), attempt: 5 })]
    expect(casesAfter(trial, ...facts)).toEqual([])
  })

  test("for a later invoice of a subscription that was paid after its trial", () => {
    const trial = subscription("subscription_started", { at: on(-7), status: "trialing", trialEnd: on(0) })
    const paid = paymentSucceeded({ at: on(0), invoiceId: "in_0" })
    expect(caseAfter(trial, paid, paymentFailed({ at: on(10) })).status).toBe("open")
  })

  test("for a bill after a trial whose only payment was of zero: not yet", () => {
    const trial = subscription("subscription_started", { at: on(-7), status: "trialing", trialEnd: on(0) })
    const free = paymentSucceeded({ at: on(-7), invoiceId: "in_0", amountMinor: 0 })
    expect(casesAfter(trial, free, paymentFailed({ at: on(1) }))).toEqual([])
  })

  test("not for a failure that is reported after the invoice was paid", () => {
    expect(casesAfter(paymentSucceeded({ at: on(0) }), paymentFailed({ at: on(1) }))).toEqual([])
  })

  test("not for a subscription that has ended", () => {
    expect(casesAfter(subscriptionEnded({ at: on(0) }), paymentFailed({ at: on(1) }))).toEqual([])
  })

  test("not for an invoice that was written off before it had a case", () => {
    const facts = [
      chargeFailed({ at: on(0), chargeId: "ch_1", invoiceId: "in_1" }),
      make.invoiceUncollectible({ at: on(1) }),
    ]
    expect(casesAfter(...facts, paymentFailed({ at: on(2) }))).toEqual([])
  })

  test("not on a charge alone, which does not state what it was for", () => {
    const legacy = chargeFailed({ at: on(0), chargeId: "ch_1", invoiceId: "in_1" })
    expect(casesAfter(legacy, chargeFailed({ at: on(0), chargeId: "ch_2" }))).toEqual([])
  })

  test("not on a required authentication, which is no decline", () => {
    expect(casesAfter(make.actionRequired({ at: on(0) }))).toEqual([])
  })
})

describe("a payment case closes", () => {
  const failed = paymentFailed({ at: on(0) })

  test.each<[string, readonly Fact[], Partial<CaseState>]>([
    [
      "recovered, when paid",
      [paymentSucceeded({ at: on(2) })],
      { status: "recovered", closeReason: "paid", recoveredMinor: 1_999 },
    ],
    [
      "recovered by what was still owed, where the invoice had been paid in part before",
      [paymentSucceeded({ at: on(2), amountMinor: 5_000 })],
      { status: "recovered", recoveredMinor: 1_999 },
    ],
    [
      "recovered, when paid elsewhere",
      [paymentSucceeded({ at: on(2), how: "out_of_band" })],
      { status: "recovered", closeReason: "paid" },
    ],
    ["lost, when voided", [make.invoiceVoided({ at: on(2) })], { status: "lost", closeReason: "voided" }],
    [
      "lost, when written off",
      [make.invoiceUncollectible({ at: on(2) })],
      { status: "lost", closeReason: "uncollectible" },
    ],
    [
      "lost, when the subscription ends",
      [subscriptionEnded({ at: on(2) })],
      { status: "lost", closeReason: "subscription_ended" },
    ],
    [
      "lost, when the subscription is unpaid",
      [subscription("subscription_changed", { at: on(2), status: "unpaid" })],
      { status: "lost", closeReason: "provider_gave_up" },
    ],
    [
      "lost, when an operator puts it aside",
      [make.closedByOperator({ at: on(2) })],
      { status: "lost", closeReason: "closed_by_operator" },
    ],
  ])("as %s", (_, facts, expected) => {
    expect(caseAfter(failed, ...facts)).toMatchObject({ ...expected, openedAt: on(0), closedAt: on(2) })
  })

  test("once: later facts do not change the first closing", () => {
    const closed = caseAfter(failed, make.invoiceVoided({ at: on(1) }), subscriptionEnded({ at: on(2) }))
    expect(closed).toMatchObject({ closeReason: "voided", closedAt: on(1) })
  })

  test("not while the provider pauses the subscription because it cannot collect", () => {
    const paused = subscription("subscription_paused", { at: on(1), status: "paused", paused: "payment_failure" })
    expect(caseAfter(failed, paused).status).toBe("open")
  })

  test("not for what happens to another subscription", () => {
    expect(caseAfter(failed, subscriptionEnded({ at: on(1), subscriptionId: "sub_2" })).status).toBe("open")
  })

  test("as lost, when a later failure states that it belongs to an ended subscription", () => {
    const unnamed = paymentFailed({ at: on(0), subscriptionId: null })
    const closed = caseAfter(unnamed, subscriptionEnded({ at: on(1) }), paymentFailed({ at: on(2), attempt: 2 }))
    expect(closed).toMatchObject({ status: "lost", closeReason: "subscription_ended" })
  })

  test("as recovered, when failure and payment share a second", () => {
    const facts = [paymentSucceeded({ at: on(0), id: "1" }), paymentFailed({ at: on(0), id: "2" })]
    expect(caseAfter(...facts)).toMatchObject({ status: "recovered", openedAt: on(0), closedAt: on(0) })
  })

  test.each<[string, Fact]>([
    ["given up", subscription("subscription_changed", { at: on(1), status: "unpaid" })],
    ["written off", make.invoiceUncollectible({ at: on(1) })],
    ["ended with the subscription", subscriptionEnded({ at: on(1) })],
  ])("as recovered after all, when it is paid after it was %s", (_, end) => {
    expect(caseAfter(failed, end, paymentSucceeded({ at: on(9) }))).toMatchObject({
      status: "recovered",
      closedAt: on(9),
    })
  })

  test.each<[string, Fact]>([
    ["closed by an operator", make.closedByOperator({ at: on(1) })],
    ["voided", make.invoiceVoided({ at: on(1) })],
  ])("for good, when it was %s", (_, end) => {
    const closed = caseAfter(failed, end, paymentSucceeded({ at: on(9) }), paymentFailed({ at: on(9), attempt: 2 }))
    expect(closed).toMatchObject({ status: "lost", closedAt: on(1), recoveredMinor: 0 })
  })

  test("with the amount of its payment, also when two facts state different ones", () => {
    const facts = [
      paymentSucceeded({ at: on(1), amountMinor: 1_000 }),
      paymentSucceeded({ at: on(2), amountMinor: 1_999 }),
    ]
    expect(caseAfter(failed, ...facts)).toMatchObject({ recoveredMinor: 1_999, closedAt: on(1) })
  })
})

describe("failures are counted", () => {
  test("each attempt once", () => {
    const attempts = [1, 2, 3].map((attempt) => paymentFailed({ at: on(attempt), attempt }))
    expect(failureCountOf(caseAfter(...attempts))).toBe(3)
  })

  test("once, when two events of one attempt come from two endpoints", () => {
    expect(failureCountOf(caseAfter(paymentFailed({ at: on(0) }), paymentFailed({ at: on(0) })))).toBe(1)
  })

  const names = { chargeId: "ch_1", paymentIntentId: "pi_1" }
  const intentOnly = { chargeId: null, paymentIntentId: "pi_1" }
  const legacy = { invoiceId: "in_1", subscriptionId: "sub_1" }
  test.each<[string, (id: string) => readonly Fact[]]>([
    [
      "with the invoice's id",
      (id) => [paymentFailed({ at: on(0), id: "2", ...names }), chargeFailed({ at: on(0), id, ...legacy, ...names })],
    ],
    [
      "with the invoice's id, and an intent that names no charge",
      (id) => [
        paymentFailed({ at: on(0), id: "2" }),
        chargeFailed({ at: on(0), id: "3", ...legacy, ...intentOnly }),
        chargeFailed({ at: on(0), id, ...legacy, ...names }),
      ],
    ],
    [
      "without the invoice's id",
      (id) => [paymentFailed({ at: on(0), id: "2" }), chargeFailed({ at: on(0), id, ...names })],
    ],
    [
      "without the invoice's id, and an intent that names no charge",
      (id) => [
        paymentFailed({ at: on(0), id: "2" }),
        chargeFailed({ at: on(0), id: "3", ...names }),
        chargeFailed({ at: on(0), id, ...intentOnly }),
      ],
    ],
  ])("once, when invoice, charge and intent tell of one attempt %s, in either order", (_, facts) => {
    for (const id of ["1", "4"]) {
      expect(failureCountOf(caseAfter(...facts(id)))).toBe(1)
    }
  })

  test("by their charges where the invoice's own events are missing", () => {
    const charges = [1, 2, 3].map((day) =>
      chargeFailed({ at: on(day), chargeId: `ch_${day}`, paymentIntentId: "pi_1" }),
    )
    expect(failureCountOf(caseAfter(paymentFailed({ at: on(1) }), ...charges))).toBe(3)
  })

  test.each(["1", "3"])("equally whether the first charge (%s) is reported before or after the invoice", (id) => {
    const first = [paymentFailed({ at: on(0), id: "2" }), chargeFailed({ at: on(0), id, ...legacy, chargeId: "ch_1" })]
    expect(failureCountOf(caseAfter(...first, chargeFailed({ at: on(2), ...legacy, chargeId: "ch_2" })))).toBe(2)
  })

  test("for each of two subscriptions of one price that fail in the same second", () => {
    const state = rebuild([
      ...["in_1", "in_2"].map((invoiceId) =>
        paymentFailed({ at: on(0), invoiceId, subscriptionId: `sub_${invoiceId}` }),
      ),
      ...["ch_1", "ch_2"].map((chargeId) => chargeFailed({ at: on(0, "10:00:02"), chargeId })),
    ])
    expect(state.cases.map(failureCountOf)).toEqual([1, 1])
    expect(state.cases.map((entry) => entry.chargeFailures.length)).toEqual([1, 1])
  })
})

describe("a charge that names no invoice", () => {
  test.each(["09:59:58", "10:00:00", "10:00:03", "10:09:00"])("gives the invoice its decline code (at %s)", (time) => {
    const charge = chargeFailed({ at: on(0, time), chargeId: "ch_1", declineCode: "expired_card" })
    expect(caseAfter(paymentFailed({ at: on(0) }), charge).declineCode).toBe("expired_card")
  })

  test("gives it also to a case that this attempt closed", () => {
    const ended = subscription("subscription_changed", { at: on(2), status: "unpaid" })
    const charge = chargeFailed({ at: on(2, "10:00:02"), chargeId: "ch_2", declineCode: "stolen_card" })
    const last = paymentFailed({ at: on(2), attempt: 2, nextAttemptAt: null })
    expect(caseAfter(paymentFailed({ at: on(0) }), ended, last, charge)).toMatchObject({
      status: "lost",
      declineCode: "stolen_card",
    })
  })

  test.each([
    ["of another amount", { amountMinor: 2_000 }, "10:00:00"],
    ["in another currency", { currency: "eur" }, "10:00:00"],
    ["an hour later", {}, "11:00:00"],
  ])("is not taken for the invoice's when it is %s", (_, other, time) => {
    const charge = chargeFailed({ at: on(0, time), chargeId: "ch_1", declineCode: "expired_card", ...other })
    expect(caseAfter(paymentFailed({ at: on(0) }), charge).declineCode).toBeNull()
  })

  test("is kept until its second attempt, when the first had no invoice event", () => {
    const names = { paymentIntentId: "pi_1" }
    const charges = [
      chargeFailed({ at: on(0), chargeId: "ch_1", ...names, declineCode: "expired_card" }),
      chargeFailed({ at: on(2), chargeId: "ch_2", ...names, declineCode: "lost_card" }),
    ]
    expect(caseAfter(...charges, paymentFailed({ at: on(2, "10:00:01"), attempt: 2 })).declineCode).toBe("lost_card")
  })

  test("does not settle an invoice whose own event has not reported payment", () => {
    const facts = [
      paymentFailed({ at: on(0), paymentIntentId: "pi_1" }),
      chargeSucceeded({ at: on(1), paymentIntentId: "pi_1" }),
    ]
    expect(caseAfter(...facts).status).toBe("open")
  })

  test("is found by a refund, once matched", () => {
    const facts = [
      paymentFailed({ at: on(0) }),
      paymentSucceeded({ at: on(1) }),
      chargeSucceeded({ at: on(1), chargeId: "ch_1" }),
    ]
    const refund = make.refunded({ at: on(3), invoiceId: null, chargeId: "ch_1", amountMinor: 500 })
    expect(paymentOf(rebuild([...facts, refund]), "in_1")?.refundedMinor).toBe(500)
  })
})

describe("a refund", () => {
  const paid = [paymentFailed({ at: on(0) }), paymentSucceeded({ at: on(1) })]

  test("is kept with the payment as the largest reported total, and reduces what was recovered", () => {
    const refunds = [500, 700, 600].map((amountMinor, day) => make.refunded({ at: on(2 + day), amountMinor }))
    expect(paymentOf(rebuild([...paid, ...refunds]), "in_1")?.refundedMinor).toBe(700)
    expect(caseAfter(...paid, ...refunds)).toMatchObject({ status: "recovered", recoveredMinor: 1_299 })
  })

  test("in full reverses the recovery, and one that failed restores it", () => {
    const whole = make.refunded({ at: on(2), refundId: "re_1", refundMinor: 1_999 })
    expect(caseAfter(...paid, whole)).toMatchObject({
      ...{ status: "reversed", closeReason: "refunded", recoveredMinor: 0, closedAt: on(2) },
    })
    const failed = make.refundFailed({ at: on(3), refundId: "re_1" })
    expect(caseAfter(...paid, whole, failed)).toMatchObject({
      status: "recovered",
      recoveredMinor: 1_999,
      closedAt: on(1),
    })
  })
})

describe("the end of dunning", () => {
  const last = paymentFailed({ at: on(1), attempt: 2, nextAttemptAt: null })

  test("is not the last attempt: the bill can still be paid", () => {
    expect(caseAfter(paymentFailed({ at: on(0) }), last)).toMatchObject({ status: "open", closeReason: null })
  })

  test("is sixty days without news", () => {
    const lapsed = (day: number) => make.caseLapsed({ at: on(day) })
    expect(caseAfter(paymentFailed({ at: on(0) }), last, lapsed(60)).status).toBe("open")
    expect(caseAfter(paymentFailed({ at: on(0) }), last, lapsed(61))).toMatchObject({
      ...{ status: "lost", closeReason: "lapsed" },
    })
  })
})

describe("what is owed changes", () => {
  const failed = paymentFailed({ at: on(0), amountMinor: 2_900, paidMinor: 0, creditedMinor: 0 })
  const note = make.invoiceCredited({ at: on(1), amountMinor: 2_000 })
  const changed = (given: object) => make.invoiceChanged({ at: on(1), paidMinor: 0, creditedMinor: 0, ...given })

  test.each<[string, readonly Fact[]]>([
    ["a credit note alone", [note]],
    ["the invoice alone", [changed({ amountMinor: 900, creditedMinor: 2_000 })]],
    ["both, once", [note, changed({ amountMinor: 900, creditedMinor: 2_000 })]],
  ])("by a credit note, told by %s", (_, facts) => {
    expect(caseAfter(failed, ...facts)).toMatchObject({ status: "open", amountMinor: 900 })
  })

  test("back, when the credit note is voided", () => {
    const voided = make.invoiceCredited({ at: on(2), amountMinor: 2_000, isVoided: true })
    expect(caseAfter(failed, note, voided).amountMinor).toBe(2_900)
  })

  test("by a part payment: the rest is owed, and the amount of the case stays", () => {
    const part = changed({ amountMinor: 1_900, paidMinor: 1_000 })
    expect(caseAfter(failed, part)).toMatchObject({ amountMinor: 2_900, remainingMinor: 1_900 })
    const paid = caseAfter(failed, part, paymentSucceeded({ at: on(2), amountMinor: 2_900 }))
    expect(paid).toMatchObject({ status: "recovered", recoveredMinor: 2_900 })
    expect(paid).not.toHaveProperty("remainingMinor")
  })

  test("to nothing: waived is neither recovered nor open", () => {
    const waived = { status: "lost", closeReason: "waived", recoveredMinor: 0 }
    expect(caseAfter(failed, changed({ amountMinor: 0, creditedMinor: 2_900 }))).toMatchObject(waived)
    expect(caseAfter(failed, make.invoiceCredited({ at: on(1), amountMinor: 2_900 }))).toMatchObject(waived)
    expect(caseAfter(failed, paymentSucceeded({ at: on(1), amountMinor: 0 }))).toMatchObject(waived)
  })

  test("nothing was owed: a bill of zero opens no case", () => {
    expect(casesAfter(paymentFailed({ at: on(0), amountMinor: 0 }))).toEqual([])
    expect(casesAfter(paymentFailed({ at: on(0), amountMinor: null, currency: null }))).toHaveLength(1)
  })
})

describe("a bill that is voided and reissued", () => {
  const link = (day: number) => make.invoiceReissued({ at: on(day, "11:00:00"), invoiceId: "in_2", replaces: "in_1" })
  const voided = make.invoiceVoided({ at: on(1) })
  const paid = paymentSucceeded({ at: on(2), invoiceId: "in_2" })

  test.each<[string, readonly Fact[]]>([
    ["linked before", [link(0), voided, paid]],
    ["linked after", [voided, link(2), paid]],
    ["linked last", [voided, paid, link(2)]],
  ])("is one case, and no loss: %s", (_, facts) => {
    const cases = casesAfter(paymentFailed({ at: on(0) }), ...facts)
    expect(cases).toMatchObject([{ id: "payment_in_1", invoiceId: "in_2", status: "recovered", recoveredMinor: 1_999 }])
  })

  test("continues when the new invoice fails too", () => {
    const again = paymentFailed({ at: on(2), invoiceId: "in_2" })
    expect(casesAfter(paymentFailed({ at: on(0) }), link(0), voided, again)).toMatchObject([
      { id: "payment_in_1", invoiceId: "in_2", status: "open" },
    ])
  })

  test("is identified by subscription and period where nothing links the two", () => {
    const period = { start: on(0), end: on(30) }
    const later = { start: on(30), end: on(60) }
    const again = (time: typeof period) => paymentSucceeded({ at: on(2), invoiceId: "in_2", period: time })
    const first = paymentFailed({ at: on(0), period })
    expect(casesAfter(first, voided, again({ start: on(1), end: on(31) }))).toMatchObject([{ status: "recovered" }])
    expect(casesAfter(first, voided, again(later))).toMatchObject([{ status: "lost", closeReason: "voided" }])
  })
})

test("a change of plan that is voided while the previous plan continues is no case", () => {
  const change = paymentFailed({ at: on(0), billing: "change" })
  const running = subscription("subscription_started", { at: on(-30) })
  expect(casesAfter(running, change, make.invoiceVoided({ at: on(1) }))).toEqual([])
  expect(casesAfter(running, change)).toMatchObject([{ status: "open" }])
})

test("the first bill after a free plan is a failed sale", () => {
  const free = subscription("subscription_started", { at: on(-30), items: [{ ...make.MONTHLY, unitAmountMinor: 0 }] })
  const upgraded = subscription("subscription_changed", { at: on(0) })
  expect(casesAfter(free, upgraded, paymentFailed({ at: on(0) }))).toEqual([])
  expect(
    casesAfter(free, upgraded, paymentSucceeded({ at: on(0), invoiceId: "in_0" }), paymentFailed({ at: on(30) })),
  ).toHaveLength(1)
})

test("a one-off invoice is marked, and its payment is no subscription revenue", () => {
  const oneOff = paymentFailed({ at: on(0), subscriptionId: null, billing: "one_off", collection: "manual" })
  expect(caseAfter(oneOff)).toMatchObject({ billing: "one_off", collection: "manual" })
  const paid = paymentSucceeded({ at: on(1), subscriptionId: null, billing: "one_off" })
  expect(caseAfter(oneOff, paid)).toMatchObject({ status: "recovered", recoveredMinor: 0 })
})

describe("a payment in progress", () => {
  const pending = make.paymentPending({ at: on(1), invoiceId: null, paymentIntentId: "pi_1" })
  const pendingAfter = (...facts: readonly Fact[]) => rebuild([paymentFailed({ at: on(0) }), ...facts]).pending

  test("is kept once, for all events that report it, until it times out", () => {
    const charge = make.paymentPending({ at: on(1), invoiceId: null, chargeId: "py_1", paymentIntentId: "pi_1" })
    expect(pendingAfter(pending, charge)).toMatchObject([{ refs: ["pi_1", "py_1"], since: on(1), until: on(15) }])
  })

  test.each<[string, Fact]>([
    ["succeeds", paymentSucceeded({ at: on(5) })],
    ["fails by its intent", chargeFailed({ at: on(5), paymentIntentId: "pi_1" })],
    ["fails by its invoice", paymentFailed({ at: on(5), attempt: 2 })],
    ["is canceled", make.paymentCanceled({ at: on(5), invoiceId: null, paymentIntentId: "pi_1" })],
  ])("ends when it %s", (_, end) => {
    expect(pendingAfter(pending, end)).toBeUndefined()
  })

  test("that is canceled has not failed, and only this one ends", () => {
    const canceled = make.paymentCanceled({ at: on(5), invoiceId: null, paymentIntentId: "pi_1" })
    const open = caseAfter(paymentFailed({ at: on(0) }), pending, canceled)
    expect(open).toMatchObject({ status: "open", invoiceFailures: [`1@${on(0)}`], chargeFailures: [] })
    const another = make.paymentCanceled({ at: on(5), invoiceId: null, paymentIntentId: "pi_2" })
    expect(pendingAfter(pending, another)).toHaveLength(1)
  })
})

test("a required authentication is kept with the case, before or after it opened", () => {
  for (const time of ["09:00:00", "10:00:00", "11:00:00"]) {
    const asked = make.actionRequired({ at: on(0, time) })
    expect(caseAfter(asked, paymentFailed({ at: on(0) })).needsAuthentication).toBe(true)
  }
})

test("paid invoices without a case are kept for five years of months, those with one for as long as their case", () => {
  const paid = Array.from({ length: 130 }, (_, month) =>
    paymentSucceeded({ at: on(30 * month), invoiceId: `in_paid_${month}` }),
  )
  const state = rebuild([paymentFailed({ at: on(0) }), paymentSucceeded({ at: on(1) }), ...paid])
  expect(paymentOf(state, "in_1")).toBeDefined()
  expect(paymentOf(state, "in_paid_10")).toBeUndefined()
  expect(paymentOf(state, "in_paid_70")).toBeDefined()
})

test("which invoice a charge belongs to does not depend on how the state was stored", () => {
  const twins = ["in_2", "in_1"].map((invoiceId, index) =>
    paymentFailed({ at: on(0), id: `${index}`, invoiceId, paymentIntentId: "pi_of_both" }),
  )
  const equals = ["in_2", "in_1"].map((invoiceId, index) => paymentFailed({ at: on(0), id: `${index}`, invoiceId }))
  const charge = { at: on(0, "10:00:01"), chargeId: "ch_1", declineCode: "expired_card" }
  for (const [bills, told] of [
    [twins, chargeFailed({ ...charge, paymentIntentId: "pi_of_both" })],
    [equals, chargeFailed(charge)],
  ] as const) {
    const stream = new StoredStream(asJsonb)
    stream.append(bills)
    expect(canonical(stream.append([told]))).toBe(canonical(stream.rebuilt()))
  }
})

describe("one failure that a numbered and an unnumbered event report", () => {
  const numbered = (time: string, attempt = 1) => paymentFailed({ at: on(0, time), attempt, id: `n${attempt}` })
  const unnumbered = (time: string, id: string) => paymentFailed({ at: on(0, time), attempt: null, id })

  test.each([
    ["the same second, unnumbered first", "10:00:00", "a"],
    ["the same second, numbered first", "10:00:00", "z"],
    ["a second before", "09:59:59", "a"],
    ["five seconds after", "10:00:05", "a"],
  ])("counts once: %s", (_, time, id) => {
    const counted = caseAfter(numbered("10:00:00"), unnumbered(time, id))
    expect(counted.invoiceFailures).toEqual([`1@${on(0, "10:00:00")}`])
  })

  test("counts twice when it cannot be the same", () => {
    expect(failureCountOf(caseAfter(numbered("10:00:00"), unnumbered("10:00:06", "a")))).toBe(2)
  })

  test("counts besides a further attempt that follows at once", () => {
    const both = caseAfter(numbered("10:00:00"), unnumbered("10:00:00", "a"), numbered("10:00:02", 2))
    expect(failureCountOf(both)).toBe(2)
  })
})
