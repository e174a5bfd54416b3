/** Looks up the customer of an object at Stripe, with the ids of related objects. */
import type Stripe from "stripe"
import type { ProviderApi } from "../../../../shared/provider.ts"
import { isObject, type JsonObject } from "../events/fields.ts"
import { objectLinksOf, objectsOf } from "../events/object-links.ts"
import { callStripe, isStripeError } from "./client.ts"

type Answer = Awaited<ReturnType<ProviderApi["customerOf"]>>

/** From an object to its customer is three steps at most: dispute, charge, invoice. */
const STEPS_MAX = 4

/**
 * The customer of a charge, payment intent, invoice, dispute, refund, invoice payment or subscription, with the further
 * ids found on the way, most specific first. Null when Stripe has no such object, or no customer of it.
 */
export async function customerOf(stripe: Stripe, objectId: string): Promise<Answer> {
  const found = new Set<string>()
  let customer: string | null = null
  let id: string | null = objectId
  for (let step = 0; id !== null && step < STEPS_MAX; step++) {
    const object = await retrieve(stripe, id)
    if (!isObject(object) || object.id !== id) break
    customer ??= objectLinksOf(object).customer
    for (const other of objectsOf(object)) found.add(other)
    id = await nextOf(stripe, object)
  }
  return customer === null ? null : { customer, objects: [...found] }
}

/** The next object to look up: from a dispute or refund to its payment, from there to its invoice, and no further. */
async function nextOf(stripe: Stripe, object: JsonObject): Promise<string | null> {
  const { chargeId, paymentIntentId, invoiceId } = objectLinksOf(object)
  switch (object.object) {
    case "invoice":
    case "subscription":
      return null
    case "charge":
    case "payment_intent":
      return invoiceId ?? (paymentIntentId === null ? null : invoiceOf(stripe, paymentIntentId))
    default:
      return invoiceId ?? chargeId ?? paymentIntentId
  }
}

/** The object with the id, whose prefix gives its type; null when there is none, or none that belongs to a customer. */
async function retrieve(stripe: Stripe, id: string): Promise<unknown> {
  const prefix = /^([a-z]+)_/.exec(id)?.[1] ?? ""
  const call = RETRIEVERS.get(prefix)
  if (!call) return null
  return callStripe(`reading ${prefix}`, async () => {
    try {
      return await call(stripe, id)
    } catch (error) {
      if (isStripeError(error, 404)) return null
      throw error
    }
  })
}

type Retriever = (stripe: Stripe, id: string) => Promise<unknown>

const charge: Retriever = (stripe, id) => stripe.charges.retrieve(id)
const dispute: Retriever = (stripe, id) => stripe.disputes.retrieve(id)

/** Prefixes as Stripe writes them: `py_` is a charge by bank, disputes were `dp_` and are `du_`. */
const RETRIEVERS: ReadonlyMap<string, Retriever> = new Map<string, Retriever>([
  ["ch", charge],
  ["py", charge],
  ["dp", dispute],
  ["du", dispute],
  ["pi", (stripe, id) => stripe.paymentIntents.retrieve(id)],
  ["in", (stripe, id) => stripe.invoices.retrieve(id, { expand: ["payments"] })],
  ["inpay", (stripe, id) => stripe.invoicePayments.retrieve(id)],
  ["re", (stripe, id) => stripe.refunds.retrieve(id)],
  ["sub", (stripe, id) => stripe.subscriptions.retrieve(id)],
])

/**
 * The invoice that a payment intent pays; null when it pays none. Since 2025-03-31 (basil) only the list of invoice payments
 * names it, and that list can be filtered by payment intent, not by charge.
 */
async function invoiceOf(stripe: Stripe, paymentIntentId: string): Promise<string | null> {
  const payments = await callStripe("reading invoice payments", () =>
    stripe.invoicePayments.list({ payment: { type: "payment_intent", payment_intent: paymentIntentId }, limit: 1 }),
  )
  const [payment] = payments.data
  return payment === undefined ? null : objectLinksOf({ ...payment }).invoiceId
}
