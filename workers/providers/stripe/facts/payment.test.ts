import { describe, expect, test } from "vitest"
import { deliveryOf, event, factOf } from "../../../../test/fixtures/stripe/constructed/event.ts"

describe("the decline code is the most specific of the event", () => {
  const charge = (fields: object) =>
    factOf(event("charge.failed", { id: "ch_1", object: "charge", currency: "usd", amount: 1, ...fields }))
  const intent = (error: object) =>
    factOf(
      event("payment_intent.payment_failed", {
        id: "pi_1",
        object: "payment_intent",
        currency: "usd",
        amount: 1,
        last_payment_error: error,
      }),
    )

  test.each([
    ["lost_card", charge({ failure_code: "card_declined", outcome: { reason: "lost_card" } })],
    ["expired_card", charge({ failure_code: "expired_card", outcome: { reason: "generic_decline" } })],
    ["generic_decline", charge({ failure_code: "card_declined", outcome: { reason: "generic_decline" } })],
    ["card_declined", charge({ failure_code: "card_declined", outcome: null })],
    [null, charge({})],
    [null, charge({ failure_code: "Your card was declined, Ann." })],
    ["insufficient_funds", intent({ code: "card_declined", decline_code: "insufficient_funds" })],
    ["expired_card", intent({ code: "expired_card", decline_code: "generic_decline" })],
    ["authentication_required", intent({ code: "authentication_required" })],
  ])("%s", (declineCode, fact) => {
    expect(fact).toMatchObject({ kind: "payment_failed", declineCode })
  })
})

test("a charge counts as a payment once it is paid and captured", () => {
  const charge = { id: "ch_1", object: "charge", currency: "usd", amount: 500 }
  const succeeded = (fields: object) => factOf(event("charge.succeeded", { ...charge, ...fields }))
  expect(succeeded({})).toMatchObject({ kind: "payment_succeeded", amountMinor: 500 })
  expect(succeeded({ amount_captured: 300 })).toMatchObject({ amountMinor: 300 })
  expect(succeeded({ captured: false })).toBeUndefined()
  expect(succeeded({ paid: false })).toBeUndefined()
})

describe("a payment intent that is canceled", () => {
  const intent = { id: "pi_1", object: "payment_intent", customer: "cus_1", currency: "usd", amount: 500 }

  test.each(["requested_by_customer", "abandoned", "failed_invoice", "void_invoice", "automatic", "expired", null])(
    "is canceled, and has not failed (%s)",
    (reason) => {
      const canceled = { ...intent, status: "canceled", cancellation_reason: reason, latest_charge: "ch_1" }
      expect(deliveryOf(event("payment_intent.canceled", canceled))).toMatchObject({
        facts: [{ kind: "payment_canceled", paymentIntentId: "pi_1", chargeId: "ch_1", invoiceId: null }],
        unhandled: null,
      })
    },
  )

  test("is not one with another status", () => {
    expect(factOf(event("payment_intent.canceled", { ...intent, status: "processing" }))).toBeUndefined()
  })
})

describe("disputes and refunds", () => {
  const DISPUTE = { id: "du_1", object: "dispute", charge: "ch_1", payment_intent: "pi_1", amount: 5, currency: "usd" }
  const dispute = (name: string, status: string) => factOf(event(`charge.dispute.${name}`, { ...DISPUTE, status }))

  test.each([
    ["created", "needs_response", { kind: "dispute_opened", isInquiry: false }],
    ["created", "warning_needs_response", { kind: "dispute_opened", isInquiry: true }],
    ["updated", "under_review", { kind: "dispute_opened", isInquiry: false }],
    ["updated", "won", { kind: "dispute_closed", outcome: "won" }],
    ["funds_withdrawn", "warning_needs_response", { kind: "dispute_opened", isInquiry: false }],
    ["funds_reinstated", "under_review", { kind: "dispute_closed", outcome: "won" }],
    ["closed", "lost", { kind: "dispute_closed", outcome: "lost" }],
    ["closed", "warning_closed", { kind: "dispute_closed", outcome: "withdrawn" }],
  ])("charge.dispute.%s with %s", (name, status, fact) => {
    expect(dispute(name, status)).toMatchObject({
      ...fact,
      disputeId: "du_1",
      chargeId: "ch_1",
      paymentIntentId: "pi_1",
    })
  })

  test("a dispute closed without an outcome is unhandled", () => {
    expect(dispute("closed", "needs_response")).toBeUndefined()
  })

  test("a refund has its own amount, an expanded charge the total, a failed refund reverses it", () => {
    const refund = { id: "re_1", object: "refund", amount: 100, currency: "usd", charge: "ch_1", status: "succeeded" }
    const seen = (fields: object) => factOf(event("refund.updated", { ...refund, ...fields }))
    expect(seen({})).toMatchObject({ kind: "payment_refunded", amountMinor: 100, chargeId: "ch_1" })
    const charge = { id: "ch_1", object: "charge", amount_refunded: 300, currency: "usd" }
    expect(seen({ charge })).toMatchObject({ amountMinor: 300 })
    expect(seen({ status: "failed" })).toMatchObject({ kind: "refund_failed", refundId: "re_1", amountMinor: 100 })
  })
})
