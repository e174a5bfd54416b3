/**
 * Reads a thin event from the current state of its object. The object may have changed since the event, so facts at the time
 * of the event contain only what cannot have changed: a failure has no number and no charge (the fold counts it together
 * with the numbered one of the same time), and never says that collection has ended. The current state becomes facts at the
 * time it was reached: an invoice that is paid by now is paid, and no reminders are sent for it.
 */
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { Delivery, NewFact } from "../../../../shared/provider.ts"
import { livemodeOf, type StripeEvent } from "../events/envelope.ts"
import { type EventReading, unhandled } from "../events/event-reading.ts"
import { at, instantOf, type JsonObject } from "../events/fields.ts"
import { objectLinksOf, objectsOf } from "../events/object-links.ts"
import { snapshotTypeOf } from "../events/thin-types.ts"
import { eventReaderFor } from "../facts/normalize.ts"

/** The delivery of a thin event with its current object; `previous` are the former values, where the event gives them. */
export function currentObjectDelivery(thin: Delivery, object: JsonObject, previous: JsonObject): Delivery {
  const { needs: _, ...known } = thin
  const rest = { ...known, isLive: thin.isLive ?? livemodeOf(object.livemode) }
  const event: StripeEvent = {
    id: thin.providerEventId,
    type: snapshotTypeOf(thin.type) ?? thin.type,
    apiVersion: thin.apiVersion,
    account: thin.account,
    occurredAt: thin.occurredAt,
    fault: null,
    isLive: rest.isLive,
    thin: null,
    object,
    previous,
  }
  const { customer } = objectLinksOf(object)
  const objects = objectsOf(object)
  const { facts, contact, unhandled: reason } = readCurrentObject(event)
  // For example a payment method that was detached since: there is no ledger for it.
  if (customer === null && objects.length === 0)
    return deletedObjectDelivery(thin, "thin event, and its object names nobody now")
  return { ...rest, customer, objects, facts, contact, unhandled: reason }
}

/** The delivery of a thin event whose object cannot be read. */
export function deletedObjectDelivery(thin: Delivery, reason: string): Delivery {
  const { needs: _, ...rest } = thin
  return { ...rest, unhandled: reason }
}

type CurrentReading = Pick<EventReading, "contact" | "unhandled"> & { readonly facts: readonly NewFact[] }

function readCurrentObject(event: StripeEvent): CurrentReading {
  const { type, object } = event
  if (type === "charge.failed" && object.status !== "failed") return withoutFacts("charge has moved on since")
  // Otherwise its last error and last charge may be those of a later attempt.
  if (type === "payment_intent.payment_failed" && object.status !== "requires_payment_method") {
    return withoutFacts("payment intent has moved on since")
  }
  if (type.startsWith("customer.subscription.") && ENDED.has(String(object.status))) return endOf(event)
  if (type === "invoice.payment_failed" || type === "invoice.payment_action_required") return invoiceOwedAtEvent(event)
  return readAt(event, type, event.occurredAt)
}

const ENDED: ReadonlySet<string> = new Set(["canceled", "incomplete_expired"])

/** Of a subscription that has ended, only the end and its time are known; its former state is not. */
const endOf = (event: StripeEvent): CurrentReading =>
  readAt(event, "customer.subscription.deleted", instantOf(event.object.ended_at) ?? event.occurredAt)

/** An invoice that was not paid at the time of the event, and its outcome since. */
function invoiceOwedAtEvent(event: StripeEvent): CurrentReading {
  const { object } = event
  // Once it is settled its remaining amount is zero; at the time of the event the whole amount was owed.
  const then = object.status === "open" ? object : { ...object, amount_remaining: object.amount_due, amount_paid: 0 }
  const reading = readAt({ ...event, object: then }, event.type, event.occurredAt)
  if (reading.unhandled !== null) return reading
  const outcome = OUTCOMES[String(object.status)]
  const since = outcome && Object.hasOwn(OUTCOMES, String(object.status)) ? outcomeOf(event, outcome) : []
  return { ...reading, facts: [...reading.facts.map(withoutAttemptDetails), ...since] }
}

/** How an invoice may have ended, and which field has the time. */
const OUTCOMES: Readonly<Record<string, { readonly type: string; readonly at: string }>> = {
  paid: { type: "invoice.paid", at: "paid_at" },
  void: { type: "invoice.voided", at: "voided_at" },
  uncollectible: { type: "invoice.marked_uncollectible", at: "marked_uncollectible_at" },
}

function outcomeOf(event: StripeEvent, outcome: { readonly type: string; readonly at: string }): readonly NewFact[] {
  const occurredAt = instantOf(at(event.object, "status_transitions", outcome.at)) ?? event.occurredAt
  return readAt(event, outcome.type, occurredAt).facts.filter(({ kind }) => kind !== "customer_seen")
}

/** Without the number of the attempt, its charge and whether it was the last: these may be of a later attempt by now. */
function withoutAttemptDetails(fact: NewFact): NewFact {
  if (fact.kind !== "payment_failed") return fact
  const { nextAttemptAt, ...rest } = fact
  return {
    ...rest,
    ...(typeof nextAttemptAt === "string" && { nextAttemptAt }),
    attempt: null,
    chargeId: null,
    paymentIntentId: null,
  }
}

function readAt(event: StripeEvent, type: string, occurredAt: Instant): CurrentReading {
  const { facts, contact, unhandled: reason } = eventReaderFor(type)({ ...event, type, occurredAt })
  return { facts: facts.map((fact) => ({ ...fact, occurredAt })), contact, unhandled: reason }
}

const withoutFacts = (reason: string): CurrentReading => ({ ...unhandled(reason), facts: [] })
