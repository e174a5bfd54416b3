/**
 * Normalizes one event of Stripe, of any API version, to facts. Accepts any parsed JSON: only an envelope that cannot be read
 * is rejected; anything else that is invalid becomes an event without facts, with a reason.
 */
import type { Delivery, MalformedEvent } from "../../../../shared/provider.ts"
import { ok, type Result } from "../../../../shared/result.ts"
import { readEnvelope, type StripeEvent, type ThinPart } from "../events/envelope.ts"
import { type EventReader, notUsed, unhandled } from "../events/event-reading.ts"
import { isKnownType } from "../events/event-types.ts"
import { objectLinksOf, objectsOf } from "../events/object-links.ts"
import { snapshotTypeOf } from "../events/thin-types.ts"
import { checkoutPaymentFailed, checkoutPaymentSucceeded } from "./checkout.ts"
import * as customer from "./customer.ts"
import { disputeChanged } from "./dispute.ts"
import * as invoice from "./invoice.ts"
import * as payment from "./payment.ts"
import * as subscription from "./subscription.ts"

/** The events that we read, and their readers. Types without a line here are stored as `unhandled`. */
const READERS: ReadonlyMap<string, EventReader> = new Map<string, EventReader>([
  ["customer.created", customer.customerSaved],
  ["customer.updated", customer.customerSaved],
  ["customer.deleted", customer.customerDeleted],
  ["checkout.session.completed", customer.checkoutCompleted],
  ["checkout.session.async_payment_failed", checkoutPaymentFailed],
  ["checkout.session.async_payment_succeeded", checkoutPaymentSucceeded],
  ["customer.source.created", customer.paymentMethodAdded],
  ["payment_method.attached", customer.paymentMethodAdded],
  ["payment_method.automatically_updated", customer.paymentMethodUpdatedByProvider],
  ["payment_method.card_automatically_updated", customer.paymentMethodUpdatedByProvider],

  ["customer.subscription.created", subscription.subscriptionCreated],
  ["customer.subscription.updated", subscription.subscriptionUpdated],
  ["customer.subscription.paused", subscription.subscriptionPaused],
  ["customer.subscription.resumed", subscription.subscriptionResumed],
  ["customer.subscription.deleted", subscription.subscriptionDeleted],
  ["customer.subscription.trial_will_end", subscription.trialWillEnd],
  ["customer.subscription.pending_update_applied", subscription.subscriptionChanged],
  ["customer.subscription.pending_update_expired", subscription.subscriptionChanged],

  ["invoice.payment_failed", invoice.invoicePaymentFailed],
  ["invoice.payment_action_required", invoice.invoiceActionRequired],
  ["invoice.paid", invoice.invoicePaid],
  ["invoice.payment_succeeded", invoice.invoicePaid],
  ["invoice.voided", invoice.invoiceVoided],
  ["invoice.marked_uncollectible", invoice.invoiceUncollectible],
  ["invoice_payment.paid", invoice.invoicePaymentPaid],
  ["invoice.created", invoice.otherInvoiceEvent],
  ["invoice.finalized", invoice.otherInvoiceEvent],
  ["invoice.overdue", invoice.invoiceOverdue],
  ["invoice.sent", invoice.otherInvoiceEvent],
  ["invoice.upcoming", invoice.otherInvoiceEvent],
  ["invoice.updated", invoice.invoiceUpdated],
  ["invoice.will_be_due", invoice.otherInvoiceEvent],

  ["credit_note.created", invoice.creditNoteChanged],
  ["credit_note.updated", invoice.creditNoteChanged],
  ["credit_note.voided", invoice.creditNoteChanged],

  ["charge.failed", payment.chargeFailed],
  ["charge.pending", payment.chargePending],
  ["charge.succeeded", payment.chargeSucceeded],
  ["charge.captured", payment.chargeSucceeded],
  ["charge.refunded", payment.chargeRefunded],
  ["payment_intent.canceled", payment.paymentIntentCanceled],
  ["payment_intent.payment_failed", payment.paymentIntentFailed],
  ["payment_intent.processing", payment.paymentIntentProcessing],
  ["payment_intent.requires_action", payment.paymentIntentRequiresAction],
  ["payment_intent.succeeded", payment.paymentIntentSucceeded],
  ["refund.created", payment.refundChanged],
  ["refund.updated", payment.refundChanged],
  ["refund.failed", payment.refundChanged],
  ["charge.refund.updated", payment.refundChanged],

  ["charge.dispute.created", disputeChanged],
  ["charge.dispute.updated", disputeChanged],
  ["charge.dispute.closed", disputeChanged],
  ["charge.dispute.funds_withdrawn", disputeChanged],
  ["charge.dispute.funds_reinstated", disputeChanged],
])

const unknown: EventReader = () => unhandled("unknown type")

/** How events of a type are read. */
export const eventReaderFor = (type: string): EventReader =>
  READERS.get(type) ?? (isKnownType(type) ? notUsed : unknown)

/**
 * The delivery in the body, or why its envelope cannot be read. `receivedAt` is used where the
 * time of the event cannot be read.
 */
export function normalize(
  body: unknown,
  { receivedAt = new Date(0) }: { readonly receivedAt?: Date } = {},
): Result<Delivery, MalformedEvent> {
  const envelope = readEnvelope(body, receivedAt)
  if (!envelope.ok) return envelope
  const event = envelope.value
  if (event.fault !== null) {
    return ok({
      ...envelopeFields(event),
      customer: null,
      objects: [],
      facts: [],
      contact: null,
      unhandled: event.fault,
    })
  }
  return ok(event.thin === null ? snapshotDelivery(event) : thinDelivery(event, event.thin))
}

const envelopeFields = (event: StripeEvent) => ({
  provider: "stripe" as const,
  account: event.account,
  providerEventId: event.id,
  type: event.type,
  apiVersion: event.apiVersion,
  occurredAt: event.occurredAt,
  isLive: event.isLive,
})

function snapshotDelivery(event: StripeEvent): Delivery {
  const { facts, contact, unhandled: reason } = eventReaderFor(event.type)(event)
  return {
    ...envelopeFields(event),
    customer: objectLinksOf(event.object).customer,
    objects: objectsOf(event.object),
    facts: facts.map((fact) => ({ ...fact, occurredAt: event.occurredAt })),
    contact,
    unhandled: reason,
  }
}

/** A thin event has no facts by itself; its type alone decides whether it is worth a lookup. */
function thinDelivery(event: StripeEvent, thin: ThinPart): Delivery {
  const base = { ...envelopeFields(event), customer: null, objects: [], facts: [], contact: null }
  const type = snapshotTypeOf(event.type)
  if (type === null || !READERS.has(type)) {
    return { ...base, unhandled: type !== null && isKnownType(type) ? "not used" : "unknown type" }
  }
  if (thin.snapshotEventId === null && thin.object === null) return { ...base, unhandled: "thin event names nothing" }
  return { ...base, unhandled: null, needs: thin }
}
