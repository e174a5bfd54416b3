/**
 * Events about invoices and their payments, in all API versions. Over 300 lines because the readers share the schemas and
 * the details of an invoice.
 */
import * as z from "zod"
import {
  type BillDetails,
  type Instant,
  type Money,
  type ServicePeriod,
  type StatedMoney,
  UNKNOWN_MONEY,
} from "../../../../shared/domain/facts.ts"
import type { Result } from "../../../../shared/result.ts"
import type { StripeEvent } from "../events/envelope.ts"
import { type EventReader, type EventReading, unhandled, withFacts } from "../events/event-reading.ts"
import {
  at,
  currency,
  detail,
  id,
  idOf,
  instant,
  instantOf,
  type JsonObject,
  listOf,
  minorUnits,
  moneyOf,
  orNull,
  read,
} from "../events/fields.ts"
import { refsOf } from "../events/object-links.ts"
import { contactOfSnapshot, customerSeenFact, paymentPageOf } from "./contact.ts"
import { declineCodeOf } from "./decline-code.ts"

const due = z.lazy(() =>
  z.object({
    object: z.literal("invoice"),
    id,
    currency: detail(currency),
    amount_due: detail(minorUnits),
    amount_remaining: detail(minorUnits),
  }),
)

/** Optional details of an invoice; an invalid value counts as absent. */
const details = z.lazy(() =>
  z.object({
    amount_paid: minorUnits.nullish().catch(null),
    pre_payment_credit_notes_amount: minorUnits.nullish().catch(null),
    billing_reason: z.string().nullish().catch(null),
    collection_method: z.string().nullish().catch(null),
  }),
)

const failed = z.lazy(() =>
  due.unwrap().extend({
    attempt_count: detail(z.int().nonnegative()),
    next_payment_attempt: instant.nullish().catch(undefined),
    billing_reason: detail(z.string()),
    collection_method: detail(z.string()),
    created: detail(instant),
  }),
)

const paid = z.lazy(() =>
  z.object({
    object: z.literal("invoice"),
    id,
    currency: detail(currency),
    amount_paid: detail(minorUnits),
    paid_out_of_band: detail(z.boolean()),
    amount_paid_off_stripe: detail(minorUnits),
  }),
)

const known = z.lazy(() => z.object({ object: z.literal("invoice"), id }))

/** `invoice.payment_failed`: also sent when there is no payment method (docs.stripe.com/billing/subscriptions/webhooks). */
export const invoicePaymentFailed = invoiceReader(failed, (invoice, object, { occurredAt }) => ({
  kind: "payment_failed",
  ...refsOf(object),
  ...owed(invoice),
  attempt: invoice.attempt_count,
  declineCode: declineCodeOf(object),
  // An invoice that the member pays manually never has a next attempt; so null does not mean that collection has ended.
  ...(invoice.next_payment_attempt === undefined || invoice.collection_method === "send_invoice"
    ? {}
    : { nextAttemptAt: invoice.next_payment_attempt }),
  isFirstInvoice: invoice.billing_reason === "subscription_create",
  ...detailsOf(object, occurredAt),
  ...(invoice.created !== null && { issuedAt: invoice.created }),
}))

/**
 * `invoice.overdue`: of an invoice that the member pays manually. Nothing was charged, so there is no attempt and no code.
 * One that is charged automatically has events of its failed attempts already.
 */
export const invoiceOverdue: EventReader = (event) => {
  const { object } = event
  if (object.collection_method !== "send_invoice" || object.status !== "open") return otherInvoiceEvent(event)
  return overdue(event)
}

const overdue = invoiceReader(failed, (invoice, object, { occurredAt }) => ({
  kind: "payment_failed",
  ...refsOf(object),
  ...owed(invoice),
  attempt: null,
  declineCode: null,
  isFirstInvoice: invoice.billing_reason === "subscription_create",
  ...detailsOf(object, occurredAt),
  ...(invoice.created !== null && { issuedAt: invoice.created }),
}))

/** `invoice.payment_action_required`: the bank asks the member to confirm. It is not a decline. */
export const invoiceActionRequired = invoiceReader(due, (invoice, object) => ({
  kind: "payment_action_required",
  ...refsOf(object),
  ...owed(invoice),
}))

/** `invoice.paid` and `invoice.payment_succeeded`; only the first is also sent for an invoice paid out of band. */
export const invoicePaid = invoiceReader(paid, (invoice, object) => ({
  kind: "payment_succeeded",
  ...refsOf(object),
  ...moneyOf(invoice.amount_paid, invoice.currency),
  how: isPaidOutOfBand(invoice) ? "out_of_band" : "collected",
  ...periodOf(object),
  ...billingOf(object),
}))

export const invoiceVoided = invoiceReader(known, (_, object) => ({ kind: "invoice_voided", ...refsOf(object) }))

/** Fields of an invoice whose change may change the amount owed. */
const AMOUNT_FIELDS = [
  "amount_due",
  "amount_remaining",
  "amount_paid",
  "pre_payment_credit_notes_amount",
  "status",
  "forgiven",
]

/**
 * `invoice.updated`: used where amounts changed. A payment has an event of its own; an invoice that is `paid` without any
 * payment was settled by credit notes, of which there may be no other event.
 */
export const invoiceUpdated: EventReader = (event) => {
  const { object, previous } = event
  const isChange = Object.keys(previous).length === 0 || AMOUNT_FIELDS.some((field) => field in previous)
  if (!isChange) return otherInvoiceEvent(event)
  const status = statusOf(object)
  if (status === "void") return invoiceVoided(event)
  if (status === "uncollectible") return invoiceUncollectible(event)
  const isSettledUnpaid = status === "paid" && object.amount_paid === 0 && object.total !== 0
  return status === "open" || isSettledUnpaid ? invoiceChanged(event) : otherInvoiceEvent(event)
}

/**
 * Before 2018-11-08 an invoice had no `status`: one that was written off was `forgiven`. `closed` means only that there are no
 * more attempts (docs.stripe.com/upgrades, 2018-11-08).
 */
function statusOf({ status, forgiven, closed, paid: isPaid }: JsonObject): unknown {
  if (status !== undefined || isPaid === true) return status
  if (forgiven === true) return "uncollectible"
  return closed === false && isPaid === false ? "open" : undefined
}

/** Without an amount, the change of an invoice is unknown. */
const invoiceChanged: EventReader = (event) => {
  const { object, occurredAt } = event
  const invoice = read(due, object)
  const money = invoice.ok ? owed(invoice.value) : UNKNOWN_MONEY
  if (!isStated(money)) return otherInvoiceEvent(event)
  return withCustomer(
    object,
    withFacts({ kind: "invoice_changed", ...refsOf(object), ...money, ...detailsOf(object, occurredAt) }),
  )
}

export const invoiceUncollectible = invoiceReader(known, (_, object) => ({
  kind: "invoice_uncollectible",
  ...refsOf(object),
}))

/** Every other event of an invoice: only its contact data and revisions are used. */
export const otherInvoiceEvent: EventReader = ({ object }) => {
  const reading = withCustomer(object, withFacts())
  return reading.facts.length > 0 || reading.contact !== null ? reading : unhandled("not used")
}

const invoicePayment = z.lazy(() =>
  z.object({
    id,
    currency: detail(currency),
    amount_paid: detail(minorUnits),
    is_default: detail(z.boolean()),
  }),
)

/**
 * `invoice_payment.paid`: since basil the only event that links a payment to its invoice. One that is not the default may pay
 * only a part, and the rest is still owed; then the invoice has an event of its own when it is paid.
 */
export const invoicePaymentPaid: EventReader = ({ object }) => {
  const payment = read(invoicePayment, object)
  if (!payment.ok) return unhandled(payment.error)
  const refs = refsOf(object)
  if (refs.invoiceId === null) return unhandled("invoice_payment: invoice is missing or not as expected")
  const { id: partId, is_default: isDefault } = payment.value
  const money = moneyOf(payment.value.amount_paid, payment.value.currency)
  if (isDefault === false) {
    return isStated(money)
      ? withFacts({ kind: "invoice_part_paid", ...refs, partId, ...money })
      : unhandled("invoice_payment: amount_paid is missing or not as expected")
  }
  const isRecorded = at(object, "payment", "type") === "payment_record"
  return withFacts({
    kind: "payment_succeeded",
    ...refs,
    ...money,
    how: isRecorded ? "out_of_band" : "collected",
  })
}

const creditNote = z.lazy(() =>
  z.object({
    id,
    currency,
    amount: minorUnits,
    type: orNull(z.string()),
    pre_payment_amount: orNull(minorUnits),
  }),
)

/** `credit_note.*`: one on a paid invoice gives money back, for which there is a refund event. */
export const creditNoteChanged: EventReader = ({ type, object }) => {
  const note = read(creditNote, object)
  if (!note.ok) return unhandled(note.error)
  const refs = refsOf(object)
  if (refs.invoiceId === null) return unhandled("credit note names no invoice")
  if (note.value.type === "post_payment") return unhandled("credit note on a paid invoice")
  const { id: creditNoteId, amount, pre_payment_amount: unpaidMinor, currency } = note.value
  const isVoided = type === "credit_note.voided" || object.status === "void"
  // Older versions have no type, and a credit note is of one kind only; of both kinds since 2024.
  const amountMinor = note.value.type === "mixed" ? (unpaidMinor ?? amount) : amount
  return withFacts({ kind: "invoice_credited", ...refs, creditNoteId, isVoided, amountMinor, currency })
}

/**
 * The optional details of an invoice, absent where it does not have them. One that the member pays manually is `manual` from
 * its due date on: before, a card that was declined on its page is a failed payment and not an overdue bill.
 */
function detailsOf(object: JsonObject, now: Instant): BillDetails {
  const parsed = details.safeParse(object)
  if (!parsed.success) return {}
  const { amount_paid: paidMinor, pre_payment_credit_notes_amount: creditedMinor, collection_method } = parsed.data
  const dueAt = instantOf(object.due_date)
  return {
    ...(typeof paidMinor === "number" && { paidMinor }),
    ...(typeof creditedMinor === "number" && { creditedMinor }),
    ...(collection_method === "send_invoice" && (dueAt ?? now) <= now && { collection: "manual" }),
    ...billingOf(object),
    ...periodOf(object),
  }
}

/** Billing reasons without a subscription, where the invoice names no subscription either. */
const ONE_OFF_REASONS = ["manual", "quote_accept"]

function billingOf(object: JsonObject): Pick<BillDetails, "billing"> {
  const { billing_reason: reason } = object
  if (reason === "subscription_update") return { billing: "change" }
  const isOneOff = ONE_OFF_REASONS.some((one) => one === reason) && refsOf(object).subscriptionId === null
  return isOneOff ? { billing: "one_off" } : {}
}

/** The service period of the invoice: the longest of its lines, since prorations are for the rest of a period. */
function periodOf(object: JsonObject): Pick<BillDetails, "period"> {
  const periods = listOf(object.lines).flatMap((line): ServicePeriod[] => {
    const start = instantOf(at(line, "period", "start"))
    const end = instantOf(at(line, "period", "end"))
    return start !== null && end !== null && start < end ? [{ start, end }] : []
  })
  const [longest] = periods.sort((a, b) => lengthOf(b) - lengthOf(a))
  return longest === undefined ? {} : { period: longest }
}

const lengthOf = ({ start, end }: ServicePeriod): number => Date.parse(end) - Date.parse(start)

/** Facts that the invoice is a revision of another, or that another is a revision of it. */
function reissueOf(object: JsonObject): readonly Fact[] {
  const refs = refsOf(object)
  if (refs.invoiceId === null) return []
  const isRevision = at(object, "from_invoice", "action") === "revision"
  const older = isRevision ? idOf(at(object, "from_invoice", "invoice")) : null
  const newer = idOf(object.latest_revision)
  return [
    ...(older === null ? [] : [{ kind: "invoice_reissued" as const, ...refs, replaces: older }]),
    ...(newer === null || newer === refs.invoiceId
      ? []
      : [{ kind: "invoice_reissued" as const, ...refs, invoiceId: newer, replaces: refs.invoiceId }]),
  ]
}

type Fact = EventReading["facts"][number]

function invoiceReader<T extends z.ZodType>(
  schema: T,
  factOf: (invoice: z.output<T>, object: JsonObject, event: StripeEvent) => Fact,
): EventReader {
  return (event) => {
    const { object } = event
    const invoice: Result<z.output<T>, string> = read(schema, object)
    return invoice.ok ? withCustomer(object, withFacts(factOf(invoice.value, object, event))) : unhandled(invoice.error)
  }
}

/** Adds the contact data and the revisions of the invoice. */
function withCustomer(invoice: JsonObject, reading: EventReading): EventReading {
  const { customer_name: name, customer_email: email, customer_phone: phone } = invoice
  const copy = contactOfSnapshot({
    ...{ name, email, phone },
    addresses: [invoice.customer_address, at(invoice.customer_shipping, "address")],
  })
  const seen = customerSeenFact(copy)
  const paymentPageUrl = paymentPageOf(invoice)
  const contact = paymentPageUrl === undefined ? copy : { ...copy, paymentPageUrl }
  const facts = [...(seen === null ? [] : [seen]), ...reissueOf(invoice), ...reading.facts]
  return { ...reading, facts, contact }
}

const isStated = (money: StatedMoney): money is Money => money.amountMinor !== null && money.currency !== null

/** The amount still owed: an invoice may have been paid in part. */
const owed = (invoice: z.output<typeof due>): StatedMoney =>
  moneyOf(invoice.amount_remaining ?? invoice.amount_due, invoice.currency)

/** Since basil the invoice has the amount paid out of band; before, only whether. With only a part, it counts as collected. */
const isPaidOutOfBand = (invoice: z.output<typeof paid>): boolean =>
  invoice.paid_out_of_band === true ||
  (invoice.amount_paid_off_stripe !== null &&
    invoice.amount_paid_off_stripe > 0 &&
    invoice.amount_paid_off_stripe >= (invoice.amount_paid ?? 0))
