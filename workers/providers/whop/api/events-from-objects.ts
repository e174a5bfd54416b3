/**
 * Objects of Whop written as the webhooks that would have told of them, for what its delivery log does not hold. An object
 * shows what it has come to, not the way there: of a bill that failed and was paid only the payment is told. The ids are
 * made of the object, what happened and when, so that the same thing always has the same id.
 *
 * Invoices are left out: as listed they do not say when they were paid or written off.
 */

import { utf8 } from "../../../../shared/crypto/bytes.ts"
import type { Instant } from "../../../../shared/domain/facts.ts"
import type { HistoricalEvent, ProviderSubscription } from "../../../../shared/provider.ts"
import { statedInstant } from "../facts/event-reading.ts"
import { countOf, type JsonObject, relatedId, textOf } from "../facts/fields.ts"

/** An object as a list shows it. */
export type WhopObject = JsonObject & { readonly id: string }

type Construct = (object: WhopObject, account: string | null) => HistoricalEvent[]

/** What a payment has come to: paid, or failed for the n-th time. */
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

/** @whop/sdk, FriendlyReceiptStatus: those of an open bill that was tried in vain. */
const FAILED_SUBSTATUSES: ReadonlySet<string> = new Set(["failed", "past_due"])

/** A refund that moved money. */
export const refundEvents: Construct = (refund, account) => {
  const at = statedInstant(refund, "created_at") ?? null
  return refund.status === "succeeded" && at !== null
    ? [constructed(refund, "refund.created", at, "refunded", account)]
    : []
}

/** A dispute as it stands; its end is told at the time of its beginning, for the list says no other. */
export const disputeEvents: Construct = (dispute, account) => {
  const at = statedInstant(dispute, "created_at") ?? null
  const status = textOf(dispute.status)
  return at === null || status === null ? [] : [constructed(dispute, "dispute.created", at, status, account)]
}

/** A membership as it is now, which tells of itself as an update, an end or a return. */
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
  happening: string,
  account: string | null,
): HistoricalEvent {
  const id = `made_${object.id}_${happening}_${Math.floor(Date.parse(at) / 1000)}`
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
