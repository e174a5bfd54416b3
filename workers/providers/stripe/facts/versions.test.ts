/** The same scenario gives the same facts in every API version. */
import { expect, test } from "vitest"
import type { NewFact } from "../../../../shared/provider.ts"
import { deliveryOf } from "../../../../test/fixtures/stripe/constructed/event.ts"
import { API_VERSIONS, scenarioInVersion } from "../../../../test/fixtures/stripe/constructed/versions.ts"
import { expectWellFormed } from "../../../../test/fixtures/stripe/constructed/well-formed.ts"

const [oldest, ...newer] = API_VERSIONS

const KINDS = [
  ["customer_seen"],
  ["subscription_started"],
  ["trial_ending"],
  ["payment_failed"],
  ["payment_failed"],
  ["customer_seen", "payment_failed"],
  ["customer_seen", "payment_failed"],
  ["subscription_changed"],
  ["customer_seen", "payment_action_required"],
  ["payment_succeeded"],
  ["payment_succeeded"],
  ["customer_seen", "payment_succeeded"],
  ["customer_seen", "payment_succeeded"],
  ["customer_seen", "payment_succeeded"],
  ["subscription_changed"],
  ["payment_refunded"],
  ["dispute_opened"],
  ["dispute_closed"],
  ["cancellation_announced"],
  ["subscription_resumed"],
  ["subscription_paused"],
  ["subscription_resumed"],
  ["subscription_paused"],
  ["subscription_resumed"],
  ["customer_seen", "invoice_uncollectible"],
  ["customer_seen", "invoice_voided"],
  ["subscription_ended"],
  ["customer_seen"],
]

/** Since basil an invoice does not name its charge and payment, nor a payment its invoice: only these may be null. */
const MAY_BE_NULL = ["invoiceId", "chargeId", "paymentIntentId"]

const withNullsOf = (newerFact: NewFact, olderFact: NewFact): object => {
  const nullKeys = new Set(Object.entries(newerFact).flatMap(([key, value]) => (value === null ? [key] : [])))
  return Object.fromEntries(
    Object.entries(olderFact).map(([key, value]) => [
      key,
      MAY_BE_NULL.includes(key) && nullKeys.has(key) ? null : value,
    ]),
  )
}

test("the oldest version has the whole scenario", () => {
  expect(scenarioInVersion(oldest).map((event) => deliveryOf(event).facts.map((fact) => fact.kind))).toEqual(KINDS)
})

test.each(newer)("%s has the same scenario", (version) => {
  const before = scenarioInVersion(oldest).map(deliveryOf)
  for (const [index, event] of scenarioInVersion(version).entries()) {
    const delivery = deliveryOf(event)
    expectWellFormed(delivery)
    const expected = before[index]
    expect(delivery).toMatchObject({
      customer: expected?.customer,
      contact: expected?.contact,
      occurredAt: expected?.occurredAt,
    })
    expect(delivery.facts).toHaveLength(expected?.facts.length ?? 0)
    for (const [factIndex, fact] of delivery.facts.entries()) {
      const oldFact = expected?.facts[factIndex]
      expect(fact, event.type).toEqual(oldFact && withNullsOf(fact, oldFact))
    }
    expect(expected?.objects, event.type).toEqual(expect.arrayContaining([...delivery.objects]))
  }
})

test.each(API_VERSIONS)("in %s every invoice has its subscription and every payment its intent", (version) => {
  for (const event of scenarioInVersion(version)) {
    for (const fact of deliveryOf(event).facts) {
      if (!("invoiceId" in fact)) continue
      if (event.type.startsWith("invoice.")) expect(fact).toMatchObject({ invoiceId: "in_2", subscriptionId: "sub_1" })
      else expect(fact).toMatchObject({ chargeId: "ch_1", paymentIntentId: "pi_1" })
    }
  }
})
