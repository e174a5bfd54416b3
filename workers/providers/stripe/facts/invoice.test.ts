import { describe, expect, test } from "vitest"
import { deliveryOf, event, factOf, INVOICE } from "../../../../test/fixtures/stripe/constructed/event.ts"

describe("a failed invoice", () => {
  const failed = (fields: object) => factOf(event("invoice.payment_failed", { ...INVOICE, ...fields }))

  test("has the next attempt, null for none, or neither", () => {
    expect(failed({ next_payment_attempt: 1_767_225_600 })).toMatchObject({ nextAttemptAt: "2026-01-01T00:00:00.000Z" })
    expect(failed({ next_payment_attempt: null })).toMatchObject({ nextAttemptAt: null })
    expect(failed({})).not.toHaveProperty("nextAttemptAt")
  })

  test("of a new subscription is a failed sale", () => {
    expect(failed({ billing_reason: "subscription_create" })).toMatchObject({ isFirstInvoice: true })
    expect(failed({ billing_reason: "something_new" })).toMatchObject({ isFirstInvoice: false })
  })

  test("has the amount that is still owed", () => {
    expect(failed({ amount_due: 500, amount_remaining: 200 })).toMatchObject({ amountMinor: 200 })
  })

  test("is overdue only from its due date on, where it is paid manually", () => {
    const at = 1_767_225_600
    const sent = (fields: object) =>
      factOf(
        event("invoice.payment_failed", { ...INVOICE, collection_method: "send_invoice", ...fields }, { created: at }),
      )
    expect(sent({ due_date: at + 86_400 })).not.toHaveProperty("collection")
    expect(sent({ due_date: at - 1 })).toMatchObject({ collection: "manual" })
    expect(sent({})).toMatchObject({ collection: "manual" })
  })

  test("accepts references as ids and as expanded objects", () => {
    const ids = { customer: "cus_1", subscription: "sub_1", charge: "ch_1", payment_intent: "pi_1" }
    const expanded = Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, { id, object: name }]))
    expect(deliveryOf(event("invoice.payment_failed", { ...INVOICE, ...expanded }))).toEqual(
      deliveryOf(event("invoice.payment_failed", { ...INVOICE, ...ids })),
    )
  })

  test("finds its subscription where each version has it, the newest place first", () => {
    const line = (fields: object) => ({ lines: { data: [{}, fields] } })
    const places = [
      { parent: { subscription_details: { subscription: "sub_1" } } },
      { subscription: "sub_1" },
      line({ parent: { subscription_item_details: { subscription: "sub_1" } } }),
      line({ subscription: "sub_1" }),
    ]
    for (const place of places) expect(failed(place)).toMatchObject({ subscriptionId: "sub_1" })
    const all = places.map((place, i) => JSON.parse(JSON.stringify(place).replace("sub_1", `sub_${i}`)))
    expect(failed(Object.assign({}, ...all.toReversed()))).toMatchObject({ subscriptionId: "sub_0" })
    expect(failed({})).toMatchObject({ subscriptionId: null })
  })

  test("finds its payment among payments that were expanded, with the decline code", () => {
    const payment = (id: string, status: string) => ({
      status,
      payment: {
        type: "payment_intent",
        payment_intent: { id, latest_charge: `ch_${id}`, last_payment_error: { code: "expired_card" } },
      },
    })
    const object = { ...INVOICE, payments: { data: [payment("pi_1", "open"), payment("pi_2", "canceled")] } }
    expect(deliveryOf(event("invoice.payment_failed", object))).toMatchObject({
      objects: ["ch_pi_1", "ch_pi_2", "pi_1", "pi_2", "in_1"],
      facts: [{ paymentIntentId: "pi_1", chargeId: "ch_pi_1", declineCode: "expired_card" }],
    })
  })
})

describe("a payment", () => {
  test("of zero counts as one", () => {
    expect(factOf(event("invoice.paid", { ...INVOICE, amount_paid: 0 }))).toMatchObject({
      amountMinor: 0,
      how: "collected",
    })
  })

  test("with a part out of band counts as collected", () => {
    const how = (elsewhere: number) => factOf(event("invoice.paid", { ...INVOICE, amount_paid_off_stripe: elsewhere }))
    expect(how(499)).toMatchObject({ how: "collected" })
    expect(how(500)).toMatchObject({ how: "out_of_band" })
    expect(how(0)).toMatchObject({ how: "collected" })
  })

  test("of a part of an invoice does not pay the invoice", () => {
    const object = { id: "inpay_1", object: "invoice_payment", invoice: "in_1", currency: "usd", amount_paid: 5 }
    const paid = (fields: object) => deliveryOf(event("invoice_payment.paid", { ...object, ...fields }))
    const payment = { type: "payment_intent", payment_intent: "pi_1" }
    expect(paid({ is_default: true, payment })).toMatchObject({
      customer: null,
      objects: ["pi_1", "in_1"],
      facts: [{ kind: "payment_succeeded", invoiceId: "in_1", paymentIntentId: "pi_1", how: "collected" }],
    })
    expect(paid({ is_default: false, payment })).toMatchObject({
      objects: ["pi_1", "in_1"],
      facts: [{ kind: "invoice_part_paid", invoiceId: "in_1", partId: "inpay_1", amountMinor: 5 }],
    })
    expect(paid({ payment: { type: "payment_record" } }).facts).toMatchObject([{ how: "out_of_band" }])
  })
})

describe("an invoice from before there was a status (2018-11-08)", () => {
  const { status: _, ...old } = INVOICE as typeof INVOICE & { status?: string }
  const updated = (now: object, before: object) =>
    factOf(
      event(
        "invoice.updated",
        { ...old, ...now },
        { data: { object: { ...old, ...now }, previous_attributes: before } },
      ),
    )

  test("is uncollectible when it is forgiven, and not when there are no more attempts", () => {
    const forgiven = { closed: true, forgiven: true, paid: false, amount_due: 2900, currency: "usd" }
    expect(updated(forgiven, { forgiven: false, closed: false })).toMatchObject({ kind: "invoice_uncollectible" })
    expect(updated({ ...forgiven, forgiven: false }, { closed: false })?.kind).not.toBe("invoice_uncollectible")
  })

  test("has a changed amount while it is open", () => {
    const open = { closed: false, forgiven: false, paid: false, amount_due: 900, currency: "usd" }
    expect(updated(open, { amount_due: 2900 })).toMatchObject({ kind: "invoice_changed", amountMinor: 900 })
  })
})
