/**
 * From one event of Stripe, of any API version, to facts. Total over parsed JSON: only an envelope that cannot be read is
 * refused; whatever else is odd becomes an event without facts and with a plain reason.
 */
import { ok, type Result } from "../../../shared/result.ts"
import type { Delivery, MalformedEvent } from "../provider.ts"
import * as customer from "./customer.ts"
import { disputeSeen } from "./dispute.ts"
import { readEnvelope } from "./envelope.ts"
import { isKnownType } from "./event-types.ts"
import * as invoice from "./invoice.ts"
import * as payment from "./payment.ts"
import { notUsed, type Reader, unhandled } from "./reading.ts"
import * as subscription from "./subscription.ts"
import { objectsOf, tiesOf } from "./ties.ts"

/** Which events we read, and how. Types without a line here are kept as `unhandled`. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["customer.created", customer.customerSaved],
  ["customer.updated", customer.customerSaved],
  ["customer.deleted", customer.customerDeleted],
  ["checkout.session.completed", customer.checkoutCompleted],
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
  ["invoice.created", invoice.invoiceSeen],
  ["invoice.finalized", invoice.invoiceSeen],
  ["invoice.overdue", invoice.invoiceSeen],
  ["invoice.sent", invoice.invoiceSeen],
  ["invoice.upcoming", invoice.invoiceSeen],
  ["invoice.updated", invoice.invoiceSeen],
  ["invoice.will_be_due", invoice.invoiceSeen],

  ["charge.failed", payment.chargeFailed],
  ["charge.succeeded", payment.chargeSucceeded],
  ["charge.captured", payment.chargeSucceeded],
  ["charge.refunded", payment.chargeRefunded],
  ["payment_intent.payment_failed", payment.paymentIntentFailed],
  ["payment_intent.succeeded", payment.paymentIntentSucceeded],
  ["refund.created", payment.refundSeen],
  ["refund.updated", payment.refundSeen],
  ["refund.failed", payment.refundSeen],
  ["charge.refund.updated", payment.refundSeen],

  ["charge.dispute.created", disputeSeen],
  ["charge.dispute.updated", disputeSeen],
  ["charge.dispute.closed", disputeSeen],
  ["charge.dispute.funds_withdrawn", disputeSeen],
  ["charge.dispute.funds_reinstated", disputeSeen],
])

const thin: Reader = () => unhandled("thin event")
const unknown: Reader = () => unhandled("unknown type")

/** The delivery that the body holds, or why its envelope cannot be read. */
export function normalize(body: unknown): Result<Delivery, MalformedEvent> {
  const envelope = readEnvelope(body)
  if (!envelope.ok) return envelope
  const event = envelope.value
  const read = event.isThin ? thin : (READERS.get(event.type) ?? (isKnownType(event.type) ? notUsed : unknown))
  const { facts, contact, unhandled: reason } = read(event)
  return ok({
    provider: "stripe",
    account: event.account,
    providerEventId: event.id,
    type: event.type,
    apiVersion: event.apiVersion,
    occurredAt: event.occurredAt,
    customer: tiesOf(event.object).customer,
    objects: objectsOf(event.object),
    facts: facts.map((fact) => ({ ...fact, occurredAt: event.occurredAt })),
    contact,
    unhandled: reason,
  })
}
