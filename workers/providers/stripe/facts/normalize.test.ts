import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { deliveryOf, event, factOf, INVOICE, SUBSCRIPTION } from "../../../../test/fixtures/stripe/constructed/event.ts"
import { normalize } from "./normalize.ts"

describe("an envelope", () => {
  test("has id, type, version, account and time", () => {
    expect(deliveryOf(event("product.created", {}, { account: "acct_1" }))).toEqual({
      provider: "stripe",
      account: "acct_1",
      providerEventId: "evt_1",
      type: "product.created",
      apiVersion: "2026-10-28.endive",
      occurredAt: "2026-01-01T00:00:00.000Z",
      isLive: null,
      customer: null,
      objects: [],
      facts: [],
      contact: null,
      unhandled: "not used",
    })
  })

  test("has its mode, else that of its object, else null", () => {
    const isLiveOf = (object: object, more: object) => deliveryOf(event("invoice.paid", object, more)).isLive
    expect(isLiveOf(INVOICE, { livemode: false })).toBe(false)
    expect(isLiveOf(INVOICE, { livemode: true })).toBe(true)
    expect(isLiveOf({ ...INVOICE, livemode: false }, {})).toBe(false)
    expect(isLiveOf({ ...INVOICE, livemode: false }, { livemode: true })).toBe(true)
    expect(isLiveOf({ ...INVOICE, livemode: "false" }, { livemode: 0 })).toBeNull()
  })

  test.each([
    ["no id", { id: undefined }],
    ["an id with a line break", { id: "evt\n1" }],
    ["an id that is empty", { id: "" }],
    ["an id of 256 characters", { id: "e".repeat(256) }],
    ["an id that is a number", { id: 1 }],
    ["no type", { type: undefined }],
    ["a type that is a number", { type: 1 }],
    ["a type with a line break", { type: "a\nb" }],
    ["an account that is no id", { account: { id: "acct_1" } }],
  ])("with %s is malformed", (_, fields) => {
    expect(normalize(event("invoice.paid", INVOICE, fields))).toEqual({
      ok: false,
      error: { reason: "malformed", detail: expect.any(String) },
    })
  })

  test.each([
    ["no time", { created: undefined }],
    ["the time 0", { created: 0 }],
    ["a time before 1970", { created: -1 }],
    ["a time in text", { created: "1767225600" }],
    ["a time with a fraction", { created: 1_767_225_600.5 }],
    ["a time in milliseconds", { created: 1_767_225_600_000 }],
    ["the year 9999", { created: 253_370_764_800 }],
    ["no data", { data: undefined }],
    ["an object that is a list", { data: { object: [] } }],
    ["an object that is null", { data: { object: null } }],
  ])("with %s is an event without facts", (_, fields) => {
    const receivedAt = new Date("2026-01-02T00:00:00Z")
    const result = normalize(event("invoice.paid", INVOICE, fields), { receivedAt })
    expect(result).toMatchObject({ ok: true, value: { providerEventId: "evt_1", facts: [], customer: null } })
    expect(result.ok && result.value.unhandled).toMatch(/^event (?:created is not a time in seconds|has no object)$/)
  })

  test.each([null, undefined, 1, "a", [], true])("that is %j is malformed", (body) => {
    expect(normalize(body).ok).toBe(false)
  })

  test("of invoice.upcoming needs no id: customer, subscription and period are its key", () => {
    const object = {
      object: "invoice",
      customer: "cus_1",
      subscription: "sub_1",
      period_end: 1_767_225_600,
      currency: "usd",
    }
    const body = event("invoice.upcoming", object, { id: undefined })
    expect(deliveryOf(body).providerEventId).toBe("upcoming_cus_1_sub_1_1767225600")
    expect(normalize(event("invoice.upcoming", { object: "invoice" }, { id: undefined })).ok).toBe(false)
    expect(deliveryOf(event("invoice.upcoming", object)).providerEventId).toBe("evt_1")
  })

  test("of a thin event has what to look up, and the account", () => {
    const thin = {
      id: "evt_test_65",
      object: "v2.core.event",
      type: "v1.invoice.payment_failed",
      created: "2026-10-28T09:35:00.123Z",
      context: "acct_1",
      related_object: { id: "in_1", type: "invoice", url: "/v1/invoices/in_1" },
      snapshot_event: "evt_1",
    }
    expect(deliveryOf(thin)).toEqual({
      provider: "stripe",
      account: "acct_1",
      providerEventId: "evt_test_65",
      type: "v1.invoice.payment_failed",
      apiVersion: null,
      occurredAt: "2026-10-28T09:35:00.000Z",
      isLive: null,
      customer: null,
      objects: [],
      facts: [],
      contact: null,
      unhandled: null,
      needs: { snapshotEventId: "evt_1", object: { type: "invoice", id: "in_1" } },
    })
    for (const created of [undefined, "soon", "2026-13-45T00:00:00Z", 1_767_225_600]) {
      expect(deliveryOf({ ...thin, created })).toMatchObject({ unhandled: "event created is not a time" })
      expect(deliveryOf({ ...thin, created }).needs).toBeUndefined()
    }
    expect(deliveryOf({ ...thin, context: "org_1/acct_2" }).account).toBe("acct_2")
    for (const context of [undefined, null, "", "org_1", 5, "acct_1/../x", "acct_"]) {
      expect(deliveryOf({ ...thin, context }).account).toBeNull()
    }
  })
})

describe("an event without facts has the reason", () => {
  test.each([
    ["unknown type", event("invoice.reincarnated", INVOICE)],
    ["unknown type", event("constructor", {})],
    ["not used", event("price.updated", { id: "price_1", object: "price" })],
    ["invoice: id is missing or not as expected", event("invoice.voided", { object: "invoice" })],
    ["invoice: id is missing or not as expected", event("invoice.payment_failed", { ...INVOICE, id: "i".repeat(256) })],
    ["invoice: id is missing or not as expected", event("invoice.payment_failed", { ...INVOICE, id: "in\u202e1" })],
    [
      "charge is not captured",
      event("charge.succeeded", { id: "ch_1", object: "charge", currency: "usd", amount: 1, captured: false }),
    ],
  ])("%s", (reason, body) => {
    expect(deliveryOf(body)).toMatchObject({ facts: [], unhandled: reason })
  })

  test("and still its customer", () => {
    const delivery = deliveryOf(event("invoice.payment_failed", { ...INVOICE, object: "bill", charge: "ch_1" }))
    expect(delivery).toMatchObject({ customer: "cus_1", objects: ["ch_1"] })
  })
})

describe("a detail that cannot be read is left out, and the event is still read", () => {
  const failed = (fields: object) => factOf(event("invoice.payment_failed", { ...INVOICE, ...fields }))
  const FAILED = { kind: "payment_failed", invoiceId: "in_1" }
  const UNKNOWN = { amountMinor: null, currency: null }

  test.each([null, undefined, "abc", -1, 1.5, 2 ** 53, 1e300, {}, []])("an amount %j", (amount_due) => {
    expect(failed({ amount_due, attempt_count: 2 })).toMatchObject({ ...FAILED, ...UNKNOWN, attempt: 2 })
    const paid = event("invoice.paid", { ...INVOICE, amount_paid: amount_due })
    expect(factOf(paid)).toMatchObject({ kind: "payment_succeeded", invoiceId: "in_1", ...UNKNOWN })
  })

  test.each([null, undefined, "dollars", 5, "u$"])("a currency %j", (currency) => {
    expect(failed({ currency })).toMatchObject({ ...FAILED, ...UNKNOWN })
  })

  test("the time of the next attempt, which is then absent", () => {
    expect(failed({ next_payment_attempt: 1e15, amount_due: 700 })).toMatchObject({ ...FAILED, amountMinor: 700 })
    expect(failed({ next_payment_attempt: 1e15 })).not.toHaveProperty("nextAttemptAt")
    expect(failed({ next_payment_attempt: null })).toMatchObject({ nextAttemptAt: null })
  })

  test("an item of a subscription, its price or its plan, and not the other items", () => {
    const good = { price: { id: "price_1", unit_amount: 900, recurring: { interval: "month" } }, quantity: 2 }
    const items = [
      good,
      null,
      "item",
      { price: "price_2" },
      { price: { id: 5, unit_amount: 900.5, recurring: "monthly" }, plan: { id: "Pro plan $699/month" } },
      { ...good, quantity: "3" },
    ]
    const fact = factOf(
      event("customer.subscription.updated", { ...SUBSCRIPTION, trial_end: "soon", items: { data: items } }),
    )
    expect(fact).toMatchObject({
      kind: "subscription_changed",
      subscription: {
        trialEnd: null,
        items: [
          { priceId: "price_1", unitAmountMinor: 900, quantity: 2, interval: "month" },
          { priceId: null, unitAmountMinor: null },
          { priceId: "Pro plan $699/month", unitAmountMinor: null, interval: null },
          { priceId: "price_1", unitAmountMinor: null, quantity: 1 },
        ],
      },
    })
  })

  test("a name or an address", () => {
    const customer = { id: "cus_1", object: "customer", email: 5, name: {}, phone: null }
    expect(deliveryOf(event("customer.updated", customer))).toMatchObject({
      facts: [{ kind: "customer_seen", hasPhone: false }],
      contact: { phone: null },
    })
  })
})

test.each(["user@example.com", "shop:1234", "auth0|5f7c8ec7c33c6c004bbafe82", "Ann Lee/№ 7", "a".repeat(255)])(
  "an id is opaque: a customer %s is a customer",
  (customer) => {
    const delivery = deliveryOf(event("invoice.payment_failed", { ...INVOICE, customer }))
    expect(delivery).toMatchObject({ customer, unhandled: null })
    expect(deliveryOf(event("customer.created", { id: customer, object: "customer" }))).toMatchObject({ customer })
  },
)

test("every type that the package stripe knows is known", () => {
  const declared = readFileSync(
    new URL(import.meta.resolve("stripe")).pathname.replace(/[^/]*$/, "resources/Events.d.ts"),
    "utf8",
  )
  const types = [...declared.matchAll(/type: '([a-z0-9_.]+)'/g)].map(([, type]) => type)
  expect(types.length).toBeGreaterThan(200)
  for (const type of types) expect(deliveryOf(event(type ?? "", {})).unhandled, type).not.toBe("unknown type")
})
