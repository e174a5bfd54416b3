/**
 * A thin event read from its object. The object is as it is now, not as it was then, so only what cannot have changed
 * since is said of then: the failure is not numbered and tied to no charge (the fold counts it together with the numbered
 * one of the same moment), and nobody is said to have given up. What the object says of now is said as of when it became
 * so: an invoice that is paid by now is paid, and nobody is reminded of it.
 */
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { Delivery, NewFact } from "../../../../shared/provider.ts"
import { livemodeOf, type StripeEvent } from "../facts/envelope.ts"
import { type EventReading, unhandled } from "../facts/event-reading.ts"
import { at, instantOf, type JsonObject } from "../facts/fields.ts"
import { eventReaderFor } from "../facts/normalize.ts"
import { objectLinksOf, objectsOf } from "../facts/object-links.ts"
import { snapshotTypeOf } from "../facts/thin-types.ts"

/** The delivery of a thin event whose object is this now; `previous` is what the change had replaced, where it is told. */
export function currentObjectDelivery(thin: Delivery, object: JsonObject, previous: JsonObject): Delivery {
  const { needs: _, ...told } = thin
  const rest = { ...told, isLive: thin.isLive ?? livemodeOf(object.livemode) }
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
  // A payment method that was taken away since, for one: there is no ledger that it could go to.
  if (customer === null && objects.length === 0)
    return deletedObjectDelivery(thin, "thin event, and its object names nobody now")
  return { ...rest, customer, objects, facts, contact, unhandled: reason }
}

/** The delivery of a thin event of which nothing can be read. */
export function deletedObjectDelivery(thin: Delivery, reason: string): Delivery {
  const { needs: _, ...rest } = thin
  return { ...rest, unhandled: reason }
}

type Present = Pick<EventReading, "contact" | "unhandled"> & { readonly facts: readonly NewFact[] }

function readCurrentObject(event: StripeEvent): Present {
  const { type, object } = event
  if (type === "charge.failed" && object.status !== "failed") return silent("charge has moved on since")
  // Its last error and its last charge are those of a later attempt.
  if (type === "payment_intent.payment_failed" && object.status !== "requires_payment_method") {
    return silent("payment intent has moved on since")
  }
  if (type.startsWith("customer.subscription.") && ENDED.has(String(object.status))) return endOf(event)
  if (type === "invoice.payment_failed" || type === "invoice.payment_action_required") return invoiceOwedAtEvent(event)
  return readAt(event, type, event.occurredAt)
}

const ENDED: ReadonlySet<string> = new Set(["canceled", "incomplete_expired"])

/** A subscription that has ended says its end, and when; what it was like before that nobody knows any more. */
const endOf = (event: StripeEvent): Present =>
  readAt(event, "customer.subscription.deleted", instantOf(event.object.ended_at) ?? event.occurredAt)

/** An invoice that was not paid then, and what became of it since. */
function invoiceOwedAtEvent(event: StripeEvent): Present {
  const { object } = event
  // Once it is settled nothing remains of it; what was asked for then is the whole.
  const then = object.status === "open" ? object : { ...object, amount_remaining: object.amount_due, amount_paid: 0 }
  const reading = readAt({ ...event, object: then }, event.type, event.occurredAt)
  if (reading.unhandled !== null) return reading
  const outcome = OUTCOMES[String(object.status)]
  const since = outcome && Object.hasOwn(OUTCOMES, String(object.status)) ? outcomeOf(event, outcome) : []
  return { ...reading, facts: [...reading.facts.map(withoutAttemptDetails), ...since] }
}

/** How an invoice may have ended, and where it says when. */
const OUTCOMES: Readonly<Record<string, { readonly type: string; readonly at: string }>> = {
  paid: { type: "invoice.paid", at: "paid_at" },
  void: { type: "invoice.voided", at: "voided_at" },
  uncollectible: { type: "invoice.marked_uncollectible", at: "marked_uncollectible_at" },
}

function outcomeOf(event: StripeEvent, outcome: { readonly type: string; readonly at: string }): readonly NewFact[] {
  const occurredAt = instantOf(at(event.object, "status_transitions", outcome.at)) ?? event.occurredAt
  return readAt(event, outcome.type, occurredAt).facts.filter(({ kind }) => kind !== "customer_seen")
}

/** Which attempt it was, on which charge, and whether it was the last: all that may be another's by now. */
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

function readAt(event: StripeEvent, type: string, occurredAt: Instant): Present {
  const { facts, contact, unhandled: reason } = eventReaderFor(type)({ ...event, type, occurredAt })
  return { facts: facts.map((fact) => ({ ...fact, occurredAt })), contact, unhandled: reason }
}

const silent = (reason: string): Present => ({ ...unhandled(reason), facts: [] })
