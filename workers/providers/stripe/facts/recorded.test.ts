/** Every recorded event is read, and the important ones give the expected facts. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { expectWellFormed } from "../../../../test/fixtures/stripe/constructed/well-formed.ts"
import { recordedEvents } from "../../../../test/fixtures/stripe/recorded.ts"
import { parseEventBody } from "../../json.ts"
import { normalize } from "./normalize.ts"

const recorded = recordedEvents()
const named = (name: string) => {
  const found = recorded.find((event) => event.name === name)
  if (!found) throw new Error(`no recorded event ${name}`)
  return normalize(found.body)
}

test("there are 115 recorded events", () => {
  expect(recorded).toHaveLength(115)
})

test.each(recorded)("$name is parsed and read, or has a reason why not", ({ bytes, body }) => {
  expect(parseEventBody(bytes)).toEqual({ ok: true, value: body })
  const result = normalize(body)
  expect(result.ok).toBe(true)
  if (!result.ok) return
  expectWellFormed(result.value)
  expect(result.value.unhandled).not.toBe("unknown type")
  expect(result.value.facts.length > 0).toBe(result.value.unhandled === null)
})

const USD = { currency: "usd" }

describe("the important events", () => {
  test.each([
    [
      "stripe-sync-engine/charge_failed.json",
      [{ kind: "payment_failed", invoiceId: "in_1KJdKkJDPojXS6LNSwSWkZSN", amountMinor: 2500, ...USD }],
    ],
    [
      "stripe-sync-engine/charge_succeeded.json",
      [{ kind: "payment_succeeded", chargeId: "ch_3KtQThJDPojXS6LN0YmgbxGj", amountMinor: 3000 }],
    ],
    [
      "stripe-sync-engine/charge_refunded.json",
      [{ kind: "payment_refunded", invoiceId: "in_1KJdKkJDPojXS6LNSwSWkZSN", ...USD }],
    ],
    [
      "stripe-sync-engine/charge_dispute_created.json",
      [{ kind: "dispute_opened", isInquiry: true, reason: "general" }],
    ],
    ["stripe-sync-engine/charge_dispute_funds_withdrawn.json", [{ kind: "dispute_opened", isInquiry: false }]],
    ["stripe-sync-engine/charge_dispute_funds_reinstated.json", [{ kind: "dispute_closed", outcome: "won" }]],
    [
      "stripe-sync-engine/invoice_paid.json",
      [{ kind: "payment_succeeded", subscriptionId: "sub_JsuPyCPhXWfZar", amountMinor: 0, how: "collected" }],
    ],
    ["stripe-sync-engine/invoice_voided.json", [{ kind: "invoice_voided", subscriptionId: "sub_JsuPyCPhXWfZar" }]],
    [
      "stripe-sync-engine/invoice_payment_paid.json",
      [
        {
          kind: "payment_succeeded",
          invoiceId: "in_103Q0w2eZvKYlo2C5PYwf6Wf",
          paymentIntentId: "pi_103Q0w2eZvKYlo2C364X582Z",
          amountMinor: 2000,
        },
      ],
    ],
    [
      "stripe-sync-engine/subscription_created.json",
      [
        {
          kind: "subscription_started",
          subscription: {
            status: "active",
            ...USD,
            items: [{ quantity: 1, interval: "month" }, { quantity: 1 }],
            currentPeriodEnd: "2021-07-08T10:41:58.000Z",
          },
        },
      ],
    ],
    ["stripe-sync-engine/subscription_updated.json", [{ kind: "subscription_changed" }]],
    [
      "stripe-sync-engine/subscription_deleted.json",
      [{ kind: "subscription_ended", reason: "unknown", subscription: { endedAt: "2021-06-08T10:45:02.000Z" } }],
    ],
    [
      "stripe-sync-engine/customer_updated.json",
      [{ kind: "customer_seen", hasEmail: true, hasPhone: true, locale: null }],
    ],
    ["stripe-sync-engine/customer_deleted.json", [{ kind: "customer_seen", deleted: true }]],
    ["stripe-sync-engine/payment_method_automatically_updated.json", [{ kind: "payment_method_updated_by_provider" }]],
    [
      "stripe-sync-engine/refund_created.json",
      [{ kind: "payment_refunded", amountMinor: 1000, chargeId: "ch_1NirD82eZvKYlo2CIvbtLWuY" }],
    ],
    ["stripe-sync-engine/checkout_session_completed.json", [{ kind: "customer_seen", hasEmail: true }]],
    ["stripe-ruby-mock/payment_method.attached.json", [{ kind: "payment_method_added" }]],
    [
      "stripe-ruby-mock/payment_intent.payment_failed.json",
      [
        {
          kind: "payment_failed",
          declineCode: "generic_decline",
          amountMinor: 2000,
          chargeId: "ch_000000000000000000000000",
        },
      ],
    ],
    [
      "stripe-ruby-mock/charge.failed.json",
      [{ kind: "payment_failed", declineCode: "generic_decline", attempt: null }],
    ],
    [
      "stripe-ruby-mock/charge.dispute.funds_withdrawn.json",
      [{ kind: "dispute_opened", isInquiry: false, paymentIntentId: null, amountMinor: 25_000 }],
    ],
    ["stripe-ruby-mock/invoice.payment_action_required.json", [{ kind: "payment_action_required", amountMinor: 2000 }]],
    [
      "stripe-ruby-mock/invoice.payment_succeeded.json",
      [{ kind: "payment_succeeded", amountMinor: 2000, subscriptionId: null }],
    ],
    [
      "stripe-ruby-mock/customer.subscription.trial_will_end.json",
      [
        {
          kind: "trial_ending",
          subscription: {
            status: "trialing",
            startedAt: "2013-10-06T17:30:23.000Z",
            trialEnd: "2013-10-09T01:05:30.000Z",
            items: [
              { unitAmountMinor: 100, quantity: 1 },
              { unitAmountMinor: 200, quantity: 5 },
            ],
          },
        },
      ],
    ],
  ])("%s", (name, facts) => {
    expect(named(name)).toMatchObject({ ok: true, value: { facts, unhandled: null } })
  })

  test.each([
    ["stripe-sync-engine/charge_captured.json", "charge is not captured"],
    ["stripe-sync-engine/charge_dispute_closed.json", "dispute closed without an outcome"],
    ["stripe-sync-engine/product_created.json", "not used"],
    ["stripe-ruby-mock/payout.created.json", "not used"],
  ])("%s is not handled: %s", (name, unhandled) => {
    expect(named(name)).toMatchObject({ ok: true, value: { facts: [], unhandled } })
  })
})

/** Replacements for any value. */
const replacement = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "abc",
    -1,
    0,
    1.5,
    2 ** 53,
    1e308,
    true,
    [],
    {},
    [null],
    { id: 5 },
    { data: [1] },
    "\u0000",
    "\ud800",
  ),
  fc.jsonValue({ maxDepth: 2 }),
)
const edit = fc.record({ pick: fc.nat(), value: fc.option(replacement, { nil: undefined }) })

/** The value with the n-th of its fields replaced, or removed when there is no replacement. */
function withEdit(value: unknown, { pick, value: replaced }: { pick: number; value: unknown }): unknown {
  const copy: unknown = structuredClone(value)
  const places: [holder: Record<string, unknown>, key: string][] = []
  const collect = (node: unknown) => {
    if (typeof node !== "object" || node === null) return
    for (const [key, child] of Object.entries(node)) {
      places.push([node as Record<string, unknown>, key]) // arrays too are written by key here
      collect(child)
    }
  }
  collect(copy)
  const [holder, key] = places[pick % Math.max(places.length, 1)] ?? []
  if (holder === undefined || key === undefined) return replaced
  if (replaced === undefined) delete holder[key]
  else holder[key] = replaced
  return copy
}

test("a recorded event with any value changed is read, rejected or unhandled, and its facts are well-formed", () => {
  const bodies = recorded.map(({ body }) => body)
  fc.assert(
    fc.property(fc.constantFrom(...bodies), fc.array(edit, { minLength: 1, maxLength: 6 }), (body, edits) => {
      const result = normalize(edits.reduce<unknown>(withEdit, body))
      if (result.ok) expectWellFormed(result.value)
      else expect(result.error).toEqual({ reason: "malformed", detail: expect.any(String) })
    }),
    { numRuns: 3000 },
  )
})

test("no value in place of an event makes it throw", () => {
  const types = fc.constantFrom(...recorded.map(({ body }) => body.type), "invoice.payment_failed", "invoice.upcoming")
  fc.assert(
    fc.property(
      types,
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom("id", "object", "items", "lines", "customer", "status", "currency"), replacement),
      (type, any, object) => {
        expect(normalize(any).ok).toBe(false)
        const result = normalize({ id: "evt_1", created: 1, type, data: { object } })
        if (result.ok) expectWellFormed(result.value)
      },
    ),
    { numRuns: 1000 },
  )
})
