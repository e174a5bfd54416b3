/**
 * Builds webhooks from objects of Whop, for events that its delivery log does not have. An object shows its current state,
 * not its history: a bill that failed and was then paid gives only the payment. Ids are made of the object, what happened
 * and when, so that the same event always has the same id.
 *
 * Invoices are left out: in the list they have no time of payment or write-off.
 */
import { utf8 } from "../../../../shared/crypto/bytes.ts"
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { HistoricalEvent, ProviderSubscription } from "../../../../shared/provider.ts"
import { statedInstant } from "../events/event-reading.ts"
import { countOf, type JsonObject, relatedId, textOf } from "../events/fields.ts"

/** An object as a list shows it. */
export type WhopObject = JsonObject & { readonly id: string }

type Construct = (object: WhopObject, account: string | null) => HistoricalEvent[]

/** The current state of a payment: paid, or failed for the n-th time. */
export const paymentEvents: Construct = (payment, account) => {
  const updatedAt = statedInstant(payment, "updated_at", "created_at") ?? null
  if (payment.status === "paid") {
    const at = statedInstant(payment, "paid_at") ?? updatedAt
    return at === null ? [] : [constructed(payment, "payment.succeeded", at, "paid", account)]
  }
  const failures = countOf(payment.payments_failed) ?? 0
  const hasFailed = failures > 0 || FAILED_SUBSTATUSES.has(textOf(payment.substatus) ?? "")
  if (payment.status !== "open" || !hasFailed) return []
  const at = statedInstant(payment, "last_payment_attempt") ?? updatedAt
  return at === null ? [] : [constructed(payment, "payment.failed", at, `failed${Math.max(failures, 1)}`, account)]
}

/** @whop/sdk, FriendlyReceiptStatus: those of an open bill with a failed attempt. */
const FAILED_SUBSTATUSES: ReadonlySet<string> = new Set(["failed", "past_due"])

/** A refund that moved money. */
export const refundEvents: Construct = (refund, account) => {
  const at = statedInstant(refund, "created_at") ?? null
  return refund.status === "succeeded" && at !== null
    ? [constructed(refund, "refund.created", at, "refunded", account)]
    : []
}

/** The current state of a dispute; its end has the time of its opening, since the list has no other. */
export const disputeEvents: Construct = (dispute, account) => {
  const at = statedInstant(dispute, "created_at") ?? null
  const status = textOf(dispute.status)
  return at === null || status === null ? [] : [constructed(dispute, "dispute.created", at, status, account)]
}

/** The current state of a membership, whose event is an update, an end or a reactivation. */
export const asSubscription = (membership: WhopObject, account: string | null): ProviderSubscription => ({
  subscriptionId: membership.id,
  toEvent: ({ id, at, isRevived }) => {
    const hasEnded = membership.status === "canceled" || membership.status === "expired"
    const type = hasEnded ? "membership.deactivated" : isRevived ? "membership.activated" : "membership.updated"
    return eventOf(membership, type, at.toISOString(), id, account)
  },
})

function constructed(
  object: WhopObject,
  type: string,
  at: Instant,
  change: string,
  account: string | null,
): HistoricalEvent {
  const id = `made_${object.id}_${change}_${Math.floor(Date.parse(at) / 1000)}`
  return { ...eventOf(object, type, at, id.slice(0, 255), account), isConstructed: true }
}

function eventOf(object: WhopObject, type: string, at: Instant, id: string, account: string | null): HistoricalEvent {
  const company = relatedId(object, "company") ?? account
  const body = {
    id,
    api_version: "v1",
    type,
    timestamp: at,
    data: object,
    ...(company !== null && { company_id: company }),
  }
  return { providerEventId: id, occurredAt: at, type, rawBody: utf8(JSON.stringify(body)), headers: new Headers() }
}
