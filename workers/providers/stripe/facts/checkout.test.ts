import { describe, expect, test } from "vitest"
import { deliveryOf, event, factOf } from "../../../../test/fixtures/stripe/constructed/event.ts"

/** A completed session whose payment takes days; the fields are those of stripe 23.1.0, Checkout/Sessions.d.ts. */
const session = (fields: object) => ({
  id: "cs_1",
  object: "checkout.session",
  customer: "cus_1",
  mode: "payment",
  payment_intent: "pi_1",
  invoice: null,
  subscription: null,
  amount_total: 500,
  currency: "eur",
  ...fields,
})
const OF_SUBSCRIPTION = { mode: "subscription", payment_intent: null, invoice: "in_1", subscription: "sub_1" }

const resultEvent = (name: string, fields: object) => event(`checkout.session.async_payment_${name}`, session(fields))

describe("the result of a delayed payment in Checkout", () => {
  test("that succeeded, of a single purchase", () => {
    const delivery = deliveryOf(resultEvent("succeeded", { payment_status: "paid" }))
    expect(delivery).toMatchObject({ customer: "cus_1", objects: ["pi_1"], unhandled: null })
    expect(delivery.facts).toMatchObject([
      { kind: "payment_succeeded", paymentIntentId: "pi_1", invoiceId: null, amountMinor: 500, currency: "eur" },
    ])
  })

  test("that succeeded, of a subscription: its invoice has the amount", () => {
    expect(factOf(resultEvent("succeeded", { payment_status: "paid", ...OF_SUBSCRIPTION }))).toMatchObject({
      ...{ kind: "payment_succeeded", invoiceId: "in_1", subscriptionId: "sub_1", paymentIntentId: null },
      ...{ amountMinor: null, currency: null, how: "collected" },
    })
  })

  test("that failed: a failed sale", () => {
    expect(factOf(resultEvent("failed", { payment_status: "unpaid", ...OF_SUBSCRIPTION }))).toMatchObject({
      ...{ kind: "payment_failed", invoiceId: "in_1", subscriptionId: "sub_1" },
      ...{ attempt: null, isFirstInvoice: true },
    })
  })

  test.each([
    ["succeeded", { payment_status: "unpaid" }, "checkout session is not paid"],
    ["failed", { payment_status: "paid" }, "checkout session is paid"],
    ["succeeded", { payment_status: "paid", payment_intent: null }, "checkout session names no payment"],
    ["failed", { payment_status: "unpaid", payment_intent: null }, "checkout session names no payment"],
    ["failed", { id: null }, "checkout.session: id is missing or not as expected"],
  ])("is not read from %s with %o", (name, fields, reason) => {
    expect(deliveryOf(resultEvent(name, fields))).toMatchObject({ facts: [], unhandled: reason })
  })
})
