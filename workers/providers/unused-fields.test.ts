/**
 * An invariant: the value of a field that is not read never changes the facts of an event, and a detail that cannot be read
 * changes only itself.
 */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { event, INVOICE, SUBSCRIPTION } from "../../test/fixtures/stripe/constructed/event.ts"
import { CONTEXT, fixture, namesOf } from "../../test/fixtures/whop/fixtures.ts"
import { parseEventBody } from "./json.ts"
import { normalize as normalizeStripe } from "./stripe/facts/normalize.ts"
import { normalize as normalizeWhop } from "./whop/facts/normalize.ts"

const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}0${close.repeat(depth)}`

/** JSON texts that are not valid for any field that we read. */
const arbitraryValue = fc.oneof(
  fc.constantFrom(
    "805978396974514206",
    "-9007199254740993",
    "1.5e300",
    "1e999",
    '{"__proto__":{"id":"in_2","currency":"eur"}}',
    nested("[", "]", 5_000),
    nested('{"a":', "}", 5_000),
    `{${Array.from({ length: 3_000 }, (_, i) => `"k${i}":{}`).join()}}`,
    '"\\u0000\\ud800"',
  ),
  fc.jsonValue().map((value) => JSON.stringify(value)),
)

const stripeEvents = [
  event("invoice.payment_failed", {
    ...INVOICE,
    amount_due: 700,
    attempt_count: 2,
    next_payment_attempt: 1_767_300_000,
  }),
  event("invoice.paid", INVOICE),
  event("customer.subscription.updated", {
    ...SUBSCRIPTION,
    currency: "usd",
    items: { data: [{ price: { id: "price_1", unit_amount: 900, recurring: { interval: "month" } }, quantity: 1 }] },
  }),
]
const whopEvents = namesOf("v1").map((name) => fixture("v1", name))

const readStripe = (text: string) => normalizeStripe(parsed(text))
const readWhop = (text: string) => normalizeWhop(parsed(text), CONTEXT)

function parsed(text: string): unknown {
  const body = parseEventBody(new TextEncoder().encode(text))
  if (!body.ok) throw new Error(body.error.detail)
  return body.value
}

/** The body with one more field in the event and in its object, built as text so that its value can be anything. */
const withField = (body: object, text: string): string => {
  const marked = JSON.stringify({ ...body, marked_0: 0 }).replace('"data":{', '"data":{"marked_1":0,')
  return marked.replace('"marked_0":0', `"seller_note":${text}`).replace('"marked_1":0', `"metadata":${text}`)
}

describe("a field that is not read changes nothing", () => {
  test("of Stripe's events", () => {
    const events = fc.constantFrom(...stripeEvents)
    fc.assert(
      fc.property(events, arbitraryValue, (body, text) => {
        const inObject = JSON.stringify(body).replace('"object":{', `"object":{"metadata":${text},"footer":${text},`)
        expect(readStripe(inObject)).toEqual(readStripe(JSON.stringify(body)))
        expect(readStripe(withField(body, text))).toEqual(readStripe(JSON.stringify(body)))
      }),
      { numRuns: 200 },
    )
  })

  test("of Whop's events", () => {
    const events = fc.constantFrom(...whopEvents)
    fc.assert(
      fc.property(events, arbitraryValue, (body, text) => {
        expect(readWhop(withField(body, text))).toEqual(readWhop(JSON.stringify(body)))
      }),
      { numRuns: 200 },
    )
  })
})

describe("a detail that cannot be read changes only itself", () => {
  const [failed] = stripeEvents
  const details = {
    amount_due: ["amountMinor", "currency"],
    currency: ["amountMinor", "currency"],
    attempt_count: ["attempt"],
    next_payment_attempt: ["nextAttemptAt"],
    billing_reason: [],
    collection_method: ["nextAttemptAt"],
    charge: ["chargeId"],
    subscription: ["subscriptionId"],
    customer_email: [],
  } as const

  test("of a failed invoice", () => {
    const names = Object.keys(details) as (keyof typeof details)[]
    fc.assert(
      fc.property(fc.constantFrom(...names), arbitraryValue, (name, text) => {
        const object = { ...INVOICE, amount_due: 700, attempt_count: 2, next_payment_attempt: 1_767_300_000 }
        const body = JSON.stringify(event("invoice.payment_failed", { ...object, [name]: "@@" })).replace('"@@"', text)
        const before = failedFact(JSON.stringify(failed))
        const after = failedFact(body)
        for (const key of details[name]) delete after[key]
        expect(before).toMatchObject(after)
        expect(after).toMatchObject({ kind: "payment_failed", invoiceId: "in_1" })
      }),
      { numRuns: 300 },
    )
  })

  function failedFact(text: string): Record<string, unknown> {
    const delivery = readStripe(text)
    const fact = delivery.ok ? delivery.value.facts.at(-1) : undefined
    if (fact === undefined) throw new Error("the event has no facts")
    return { ...fact }
  }
})
