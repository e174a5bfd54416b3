/**
 * Which customer, charge, payment intent, invoice and subscription an object of Stripe belongs to, in all API versions: the
 * references moved in 2025-03-31 (basil), and each may be an id or the expanded object. Invalid references count as absent.
 */
import type { PaymentRefs } from "../../../../shared/domain/facts.ts"
import { at, idOf, isObject, type JsonObject, listOf } from "./fields.ts"

/** The ids of related objects and the customer; null where the object has none. */
export type ObjectLinks = PaymentRefs & { readonly customer: string | null }

/** More than any event links; a list of payments is the only part without a bound of its own. */
const OBJECTS_MAX = 50

/** The links of one object. A line or payment of a list is used only where the object itself has no link. */
export function objectLinksOf(object: JsonObject): ObjectLinks {
  const type = object.object
  const own = (kind: string) => (type === kind ? idOf(object.id) : null)
  const payment = mainPaymentOf(object)
  return {
    customer: own("customer") ?? idOf(object.customer) ?? idOf(object.customer_account),
    chargeId: own("charge") ?? idOf(object.charge) ?? latestChargeOf(object) ?? payment.chargeId,
    paymentIntentId: own("payment_intent") ?? idOf(object.payment_intent) ?? payment.paymentIntentId,
    invoiceId: own("invoice") ?? idOf(object.invoice) ?? idOf(object.latest_invoice) ?? orderedInvoiceOf(object),
    subscriptionId: own("subscription") ?? subscriptionOf(object),
  }
}

/** The ids of payments and subscriptions among the links, most specific first, each once. */
export function objectsOf(object: JsonObject): string[] {
  const { chargeId, paymentIntentId, invoiceId, subscriptionId } = objectLinksOf(object)
  const payments = listOf(object.payments).map(paymentOf)
  const ids = [
    chargeId,
    ...payments.map((payment) => payment.chargeId),
    paymentIntentId,
    ...payments.map((payment) => payment.paymentIntentId),
    invoiceId,
    subscriptionId,
  ]
  return [...new Set(ids.filter((id) => id !== null))].slice(0, OBJECTS_MAX)
}

/** The links that facts of payments have. */
export function refsOf(object: JsonObject): PaymentRefs {
  const { invoiceId, subscriptionId, chargeId, paymentIntentId } = objectLinksOf(object)
  return { invoiceId, subscriptionId, chargeId, paymentIntentId }
}

/**
 * An invoice has its subscription in `parent` since basil and in `subscription` before; where it has none, its lines may
 * (`parent.subscription_item_details` since basil, `subscription` before).
 */
function subscriptionOf(object: JsonObject): string | null {
  const own = idOf(at(object, "parent", "subscription_details", "subscription")) ?? idOf(object.subscription)
  if (own !== null) return own
  const lines = listOf(object.lines)
  return (
    firstOf(lines, (line) => idOf(at(line, "parent", "subscription_item_details", "subscription"))) ??
    firstOf(lines, (line) => idOf(at(line, "subscription"))) ??
    firstOf(lines, (line) => idOf(at(line, "parent", "invoice_item_details", "subscription")))
  )
}

/** A payment intent names its last charge since 2022-11-15; before, it had a list of its charges, the latest first. */
const latestChargeOf = (object: JsonObject): string | null =>
  idOf(object.latest_charge) ??
  idOf(at(object, "last_payment_error", "charge")) ??
  idOf(at(listOf(object.charges), 0)) ??
  idOf(at(object, "payment_intent", "latest_charge"))

/** The payment of an invoice has the invoice's id as order reference; a shop's order has a number of its own. */
function orderedInvoiceOf(object: JsonObject): string | null {
  const order = idOf(at(object, "payment_details", "order_reference"))
  return order?.startsWith("in_") ? order : null
}

type PaymentIds = Pick<PaymentRefs, "chargeId" | "paymentIntentId">

/** An `InvoicePayment` holds its payment as `payment: { type, charge | payment_intent | payment_record }`. */
const paymentOf = (invoicePayment: unknown): PaymentIds => {
  const intent = at(invoicePayment, "payment", "payment_intent")
  return {
    chargeId: idOf(at(invoicePayment, "payment", "charge")) ?? idOf(at(intent, "latest_charge")),
    paymentIntentId: idOf(intent),
  }
}

/** Of the payments of an invoice the one that paid it, else the first; for an `InvoicePayment`, its own payment. */
function mainPaymentOf(object: JsonObject): PaymentIds {
  if (isObject(object.payment)) return paymentOf(object)
  const payments = listOf(object.payments)
  return paymentOf(payments.find((payment) => at(payment, "status") === "paid") ?? payments[0])
}

function firstOf(values: readonly unknown[], pick: (value: unknown) => string | null): string | null {
  for (const value of values) {
    const picked = pick(value)
    if (picked !== null) return picked
  }
  return null
}
