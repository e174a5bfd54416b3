/** Events about invoices and their payments, in all API versions. */
import * as z from "zod"
import type { Money } from "../../../shared/domain/facts.ts"
import type { Result } from "../../../shared/result.ts"
import { contactOfCopy, paymentPageOf, seenBy } from "./contact.ts"
import { declineCodeOf } from "./decline-code.ts"
import { at, currency, id, instant, type JsonObject, minorUnits, orNull, read } from "./fields.ts"
import { type Reader, type Reading, says, unhandled } from "./reading.ts"
import { refsOf } from "./ties.ts"

const due = z.object({
  object: z.literal("invoice"),
  id,
  currency,
  amount_due: minorUnits,
  amount_remaining: orNull(minorUnits),
})

const failed = due.extend({
  attempt_count: orNull(z.int().nonnegative()),
  next_payment_attempt: instant.nullish(),
  billing_reason: orNull(z.string()),
  collection_method: orNull(z.string()),
  created: instant.nullish().catch(null),
})

const paid = z.object({
  object: z.literal("invoice"),
  id,
  currency,
  amount_paid: minorUnits,
  paid_out_of_band: orNull(z.boolean()),
  amount_paid_off_stripe: orNull(minorUnits),
})

const known = z.object({ object: z.literal("invoice"), id })

/** `invoice.payment_failed`: also sent when there is no payment method (docs.stripe.com/billing/subscriptions/webhooks). */
export const invoicePaymentFailed = invoiceReader(failed, (invoice, object) => ({
  kind: "payment_failed",
  ...refsOf(object),
  ...owed(invoice),
  attempt: invoice.attempt_count,
  declineCode: declineCodeOf(object),
  // An invoice that is sent to be paid by hand never has a next attempt; that does not mean that anybody gave up.
  ...(invoice.next_payment_attempt === undefined || invoice.collection_method === "send_invoice"
    ? {}
    : { nextAttemptAt: invoice.next_payment_attempt }),
  isFirstInvoice: invoice.billing_reason === "subscription_create",
  ...(typeof invoice.created === "string" && { issuedAt: invoice.created }),
}))

/** `invoice.payment_action_required`: the bank asks the member to confirm. It is not a decline. */
export const invoiceActionRequired = invoiceReader(due, (invoice, object) => ({
  kind: "payment_action_required",
  ...refsOf(object),
  ...owed(invoice),
}))

/** `invoice.paid` and `invoice.payment_succeeded`; only the first is also sent when it was marked as paid elsewhere. */
export const invoicePaid = invoiceReader(paid, (invoice, object) => ({
  kind: "payment_succeeded",
  ...refsOf(object),
  amountMinor: invoice.amount_paid,
  currency: invoice.currency,
  how: isOutOfBand(invoice) ? "out_of_band" : "collected",
}))

/** `invoice.voided`. */
export const invoiceVoided = invoiceReader(known, (_, object) => ({ kind: "invoice_voided", ...refsOf(object) }))

/** `invoice.marked_uncollectible`. */
export const invoiceUncollectible = invoiceReader(known, (_, object) => ({
  kind: "invoice_uncollectible",
  ...refsOf(object),
}))

/** Every other event of an invoice: only what it says about the customer. */
export const invoiceSeen: Reader = ({ object }) => {
  const reading = withCustomer(object, says())
  return reading.facts.length > 0 || reading.contact !== null ? reading : unhandled("not used")
}

const invoicePayment = z.object({ id, currency, amount_paid: minorUnits, is_default: orNull(z.boolean()) })

/**
 * `invoice_payment.paid`: the one event since basil that ties a payment to its invoice. One that is not the default may
 * pay a part only, and the rest is still owed; then the invoice itself says when it is paid.
 */
export const invoicePaymentPaid: Reader = ({ object }) => {
  const payment = read(invoicePayment, object)
  if (!payment.ok) return unhandled(payment.error)
  const refs = refsOf(object)
  if (refs.invoiceId === null) return unhandled("invoice_payment: invoice is missing or not as expected")
  if (payment.value.is_default === false) return unhandled("may be a part of an invoice")
  const isRecorded = at(object, "payment", "type") === "payment_record"
  return says({
    kind: "payment_succeeded",
    ...refs,
    amountMinor: payment.value.amount_paid,
    currency: payment.value.currency,
    how: isRecorded ? "out_of_band" : "collected",
  })
}

type Fact = Reading["facts"][number]

function invoiceReader<T extends z.ZodType>(
  schema: T,
  factOf: (invoice: z.output<T>, object: JsonObject) => Fact,
): Reader {
  return ({ object }) => {
    const invoice: Result<z.output<T>, string> = read(schema, object)
    return invoice.ok ? withCustomer(object, says(factOf(invoice.value, object))) : unhandled(invoice.error)
  }
}

/** Adds what the invoice says about the customer. */
function withCustomer(invoice: JsonObject, reading: Reading): Reading {
  const { customer_name: name, customer_email: email, customer_phone: phone } = invoice
  const copied = contactOfCopy({
    ...{ name, email, phone },
    addresses: [invoice.customer_address, at(invoice.customer_shipping, "address")],
  })
  const seen = seenBy(copied)
  const paymentPageUrl = paymentPageOf(invoice)
  const contact = paymentPageUrl === undefined ? copied : { ...copied, paymentPageUrl }
  return { ...reading, facts: seen === null ? reading.facts : [seen, ...reading.facts], contact }
}

/** What is still to be paid: an invoice may have been paid in part. */
const owed = (invoice: z.output<typeof due>): Money => ({
  amountMinor: invoice.amount_remaining ?? invoice.amount_due,
  currency: invoice.currency,
})

/** Since basil the amount paid elsewhere is told; before, only whether it was. A part paid elsewhere is still collected. */
const isOutOfBand = (invoice: z.output<typeof paid>): boolean =>
  invoice.paid_out_of_band === true ||
  (invoice.amount_paid_off_stripe !== null &&
    invoice.amount_paid_off_stripe > 0 &&
    invoice.amount_paid_off_stripe >= invoice.amount_paid)
