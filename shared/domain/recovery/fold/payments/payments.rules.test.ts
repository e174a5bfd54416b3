/** The limits of single rules about payments: what just applies, and what just does not. */
import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { findCase, paymentOf } from "../../../state.ts"
import { rebuild } from "../../fold.ts"

const { paymentFailed, paymentSucceeded, refunded } = make
const failed = paymentFailed({ at: on(0) })
const paid = paymentSucceeded({ at: on(1) })
const caseAfter = (facts: readonly Fact[], id = "payment_in_1") => findCase(rebuild(facts), id)

describe("a refund that names no invoice and no charge that is known", () => {
  const guess = (given: object = {}) =>
    refunded({ at: on(3), invoiceId: null, chargeId: "ch_9", amountMinor: 500, chargeMinor: 1_999, ...given })
  const refundedMinor = (...facts: readonly Fact[]) => paymentOf(rebuild(facts), "in_1")?.refundedMinor

  test("is of the one recovered bill of just the charge's amount", () => {
    expect(refundedMinor(failed, paid, guess())).toBe(500)
  })

  test.each<[string, object]>([
    ["another amount", { chargeMinor: 500 }],
    ["another currency", { currency: "eur" }],
    ["no amount of the charge", { chargeMinor: undefined }],
  ])("is of none with %s", (_, given) => {
    expect(refundedMinor(failed, paid, guess(given))).toBe(0)
  })

  test("is of none that is still open, that has charges of its own, or where two are alike", () => {
    expect(refundedMinor(failed, guess())).toBe(0)
    expect(refundedMinor(failed, paymentSucceeded({ at: on(1), chargeId: "ch_1" }), guess())).toBe(0)
    const twin = { invoiceId: "in_2" }
    expect(
      refundedMinor(
        failed,
        paid,
        paymentFailed({ at: on(0), ...twin }),
        paymentSucceeded({ at: on(1), ...twin }),
        guess(),
      ),
    ).toBe(0)
  })

  test("that failed is of none", () => {
    const refundFailed = make.refundFailed({ at: on(3), invoiceId: null, chargeId: "ch_9" })
    expect(paymentOf(rebuild([failed, paid, refundFailed]), "in_1")).not.toHaveProperty("refunds")
  })
})

describe("what was given back", () => {
  test("is the larger of the charge's total and the sum of the refunds, without those that failed", () => {
    const parts = ["re_1", "re_2"].map((refundId) =>
      refunded({ at: on(2), refundId, refundMinor: 400, amountMinor: 500 }),
    )
    expect(caseAfter([failed, paid, ...parts])).toMatchObject({ recoveredMinor: 1_199 })
    const one = refunded({ at: on(2), refundId: "re_1", refundMinor: 400, amountMinor: 400 })
    const gaveNothing = make.refundFailed({ at: on(3), refundId: "re_1", amountMinor: 400 })
    expect(caseAfter([failed, paid, one, gaveNothing])).toMatchObject({ recoveredMinor: 1_999 })
    expect(caseAfter([failed, paid, gaveNothing, { ...one, occurredAt: on(4) }])).toMatchObject({
      recoveredMinor: 1_999,
    })
  })

  test("changes nothing about a case that an operator closed", () => {
    const closed = make.closedByOperator({ at: on(0, "12:00:00") })
    const after = caseAfter([failed, closed, paid, refunded({ at: on(2), amountMinor: 1_999 })])
    expect(after).toMatchObject({ status: "lost", closeReason: "closed_by_operator" })
  })
})

describe("an invoice that is voided", () => {
  const voided = make.invoiceVoided({ at: on(2) })

  test("loses its open case, and changes nothing once it is paid or lost", () => {
    expect(caseAfter([failed, voided])).toMatchObject({ status: "lost", closeReason: "voided", closedAt: on(2) })
    expect(caseAfter([failed, paid, voided])).toMatchObject({ status: "recovered" })
    expect(paymentOf(rebuild([failed, paid, voided]), "in_1")?.status).toBe("succeeded")
    const lost = make.closedByOperator({ at: on(1) })
    expect(caseAfter([failed, lost, voided])).toMatchObject({ closeReason: "closed_by_operator", closedAt: on(1) })
  })

  describe("of a change of plan", () => {
    const change = paymentFailed({ at: on(0), billing: "change" })
    const other = paymentFailed({ at: on(0), invoiceId: "in_2", subscriptionId: "sub_2" })
    const ids = (...facts: readonly Fact[]) => rebuild([change, other, ...facts, voided]).cases.map(({ id }) => id)
    const serving = (status: "active" | "trialing" | "past_due") =>
      make.subscription("subscription_changed", { at: on(1), status })

    test("is no loss while the plan before goes on, paid or in trial", () => {
      expect(ids(serving("active"))).toEqual(["payment_in_2"])
      expect(ids(serving("trialing"))).toEqual(["payment_in_2"])
    })

    test("is a loss where it does not go on, or nobody knows", () => {
      expect(ids(serving("past_due"))).toEqual(["payment_in_1", "payment_in_2"])
      expect(ids()).toEqual(["payment_in_1", "payment_in_2"])
    })

    test("and the invoice of a plan that goes on is a loss", () => {
      expect(caseAfter([failed, serving("active"), voided])).toMatchObject({ closeReason: "voided" })
    })
  })
})

test("an invoice that is written off loses its case, unless it was paid or voided before", () => {
  const uncollectible = make.invoiceUncollectible({ at: on(2) })
  expect(caseAfter([failed, uncollectible])).toMatchObject({ status: "lost", closeReason: "uncollectible" })
  expect(paymentOf(rebuild([failed, paid, uncollectible]), "in_1")?.status).toBe("succeeded")
  const voided = make.invoiceVoided({ at: on(1) })
  expect(paymentOf(rebuild([failed, voided, uncollectible]), "in_1")?.status).toBe("voided")
})

describe("the wish of a bank to authenticate", () => {
  test("is nothing for a bill that nobody knows, or that is paid", () => {
    const unknown = make.actionRequired({ at: on(2), invoiceId: null, paymentIntentId: "pi_9" })
    expect(Object.keys(rebuild([failed, unknown]).payments)).toEqual(["in_1"])
    const paidAfter = rebuild([failed, paid, make.actionRequired({ at: on(2) })])
    expect(paymentOf(paidAfter, "in_1")?.needsAuthentication).toBe(false)
  })

  test("is news of an open case only, and names its charge", () => {
    const asked = make.actionRequired({ at: on(1), chargeId: "ch_2" })
    const known = paymentFailed({ at: on(0), chargeId: "ch_1" })
    expect(caseAfter([known, asked])).toMatchObject({ heardAt: on(1) })
    expect(paymentOf(rebuild([known, asked]), "in_1")?.refs).toEqual(["ch_1", "ch_2"])
    const closed = make.closedByOperator({ at: on(0, "12:00:00") })
    expect(caseAfter([known, closed, asked])).not.toHaveProperty("heardAt")
  })
})

describe("an attempt that is told after its case was lost", () => {
  const ended = make.closedByOperator({ at: on(1) })
  const late = (time: string) => paymentFailed({ at: on(1, time), attempt: 2, declineCode: "expired_card" })

  test("belongs to it for ten minutes", () => {
    expect(caseAfter([failed, ended, late("10:10:00")])).toMatchObject({ declineCode: "expired_card", status: "lost" })
    expect(caseAfter([failed, ended, late("10:10:01")])).toMatchObject({ declineCode: null, status: "lost" })
  })
})

describe("a new card between the failure and the payment", () => {
  const newCard = (...facts: readonly Fact[]) => caseAfter([failed, ...facts, paid])?.newCard

  test("is the provider's or the member's, from the opening on", () => {
    expect(newCard()).toBeNull()
    expect(newCard(make.cardUpdatedByProvider({ at: on(0) }))).toBe("by_provider")
    expect(newCard(make.cardUpdatedByProvider({ at: on(0, "09:59:59") }))).toBeNull()
    expect(newCard(make.cardAdded({ at: on(0) }))).toBe("by_member")
    expect(newCard(make.cardAdded({ at: on(0, "09:59:59") }))).toBeNull()
  })

  test("stays what it was when the payment is told again", () => {
    const again = paymentSucceeded({ at: on(3) })
    const after = caseAfter([failed, paid, make.cardAdded({ at: on(2) }), again])
    expect(after?.newCard).toBeNull()
  })
})

test("a bill of nothing that was settled out of band is no waiver", () => {
  const outOfBand = paymentSucceeded({ at: on(1), amountMinor: 0, how: "out_of_band" })
  expect(caseAfter([failed, outOfBand])).toMatchObject({ status: "recovered" })
})

describe("the first bill after a free plan", () => {
  const free = (given: object = {}) => paymentSucceeded({ at: on(-30), invoiceId: "in_0", amountMinor: 0, ...given })
  const started = make.subscription("subscription_started", { at: on(-30) })

  test("is a sale not made, where a bill of nothing of this subscription was settled", () => {
    expect(rebuild([started, free(), failed]).cases).toEqual([])
    expect(rebuild([started, free({ subscriptionId: "sub_2" }), failed]).cases).toHaveLength(1)
    expect(rebuild([started, free({ amountMinor: 5 }), failed]).cases).toHaveLength(1)
    expect(rebuild([started, failed]).cases).toHaveLength(1)
  })
})
