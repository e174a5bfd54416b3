import { describe, expect, test } from "vitest"
import { deliveryOf, event, factOf, INVOICE } from "../../../../test/fixtures/stripe/constructed/event.ts"

describe("contact", () => {
  const contactOf = (type: string, object: object) => deliveryOf(event(type, object)).contact

  test("from the customer has what there is and null for what there is not", () => {
    const object = { id: "cus_1", object: "customer", email: " ann@example.com\u0000", name: "", phone: null }
    expect(deliveryOf(event("customer.updated", object))).toMatchObject({
      customer: "cus_1",
      contact: { email: "ann@example.com", name: null, phone: null },
      facts: [{ kind: "customer_seen", hasEmail: true, hasPhone: false }],
    })
    expect(contactOf("customer.updated", { id: "cus_1", object: "customer" })).toEqual({})
  })

  test("from an invoice has only what there is", () => {
    const object = { ...INVOICE, customer_email: "ann@example.com", customer_name: "Ann", customer_phone: null }
    expect(contactOf("invoice.updated", object)).toEqual({
      email: "ann@example.com",
      name: "Ann",
      isCopy: true,
    })
    expect(deliveryOf(event("invoice.updated", INVOICE)).unhandled).toBe("not used")
  })

  test("is never part of a fact", () => {
    const object = {
      ...INVOICE,
      customer_email: "ann@example.com",
      customer_name: "Ann",
      customer_phone: "+4930123456",
    }
    const facts = JSON.stringify(deliveryOf(event("invoice.payment_failed", object)).facts)
    expect(facts).not.toMatch(/ann|Ann|4930/)
  })

  test.each([
    ["https://invoice.stripe.com/i/1", true],
    ["http://invoice.stripe.com/i/1", false],
    ["https://stripe.com.evil.example/i/1", false],
    ["https://evilstripe.com/i/1", false],
    ["https://user@invoice.stripe.com/i/1", false],
    ["https://invoice.stripe.com:8443/i/1", false],
    ["https://evil.example/.stripe.com", false],
    ["javascript:alert(1)//.stripe.com", false],
    ["/i/1", false],
  ])("has the payment page %s: %s", (url, isPage) => {
    const contact = contactOf("invoice.payment_failed", { ...INVOICE, status: "open", hosted_invoice_url: url })
    expect(contact?.paymentPageUrl).toBe(isPage ? url : undefined)
  })

  test("has no page for an invoice that is paid", () => {
    const url = "https://invoice.stripe.com/i/1"
    expect(contactOf("invoice.paid", { ...INVOICE, status: "paid", hosted_invoice_url: url })).toBeNull()
  })

  test.each([
    [{ time_zone: "America/New_York" }, "America/New_York"],
    [{ tz: "Europe/Berlin" }, "Europe/Berlin"],
    [{ timezone: "Mars/Olympus" }, null],
    [{ timeZone: "+01:00" }, null],
    [{}, undefined],
  ])("time zone of %j", (metadata, timeZone) => {
    const fact = factOf(event("customer.updated", { id: "cus_1", object: "customer", metadata, preferred_locales: [] }))
    expect(fact).toEqual({
      kind: "customer_seen",
      occurredAt: "2026-01-01T00:00:00.000Z",
      locale: null,
      ...(timeZone === undefined ? {} : { timeZone }),
    })
  })
})
