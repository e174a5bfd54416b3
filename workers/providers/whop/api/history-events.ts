/**
 * The past of an object of Whop's lists, as the webhooks of it. Lists show the current state of an object, so each event
 * resets the fields that changed later. The time of a failed attempt is known only for the last one, and for the first,
 * which is made with the bill; those in between, and withdrawn pauses and cancellations, are missing.
 */
import { utf8 } from "../../../../shared/crypto/bytes.ts"
import type { Instant } from "../../../../shared/domain/facts.ts"
import { HISTORY_ID_PREFIX, type HistoricalEvent } from "../../../../shared/provider.ts"
import { countOf, idOf, instantOf, type JsonObject } from "../events/fields.ts"

/** Events after `until` are left to the webhooks. */
export interface HistoryRange {
  readonly since: Instant
  readonly until: Instant
  readonly companyId: string
}

interface PastEvent {
  readonly name: string
  readonly type: string
  readonly at: unknown
  readonly data: JsonObject
}

const ENDED: ReadonlySet<unknown> = new Set(["canceled", "expired"])

/** Its start, a cancellation that was announced and not withdrawn, its end, and its current status. */
export function membershipEvents(membership: JsonObject, range: HistoryRange): HistoricalEvent[] {
  const { status, renewal_period_end: periodEnd, canceled_at: canceledAt } = membership
  if (status === "drafted") return []
  const isOver = ENDED.has(status)
  const endedAt = isOver ? endOf(membership) : null
  if (endedAt !== null && endedAt < range.since) return []
  const initial = {
    ...membership,
    status: status === "trialing" || status === "completed" ? status : "active",
    cancel_at_period_end: false,
    cancel_option: null,
    cancellation_reason: null,
    canceled_at: null,
    payment_collection_paused: false,
  }
  const events: PastEvent[] = [
    { name: "activated", type: "membership.activated", at: membership.created_at, data: initial },
  ]
  const isAnnounced = membership.cancel_at_period_end === true || status === "canceling"
  if (isAnnounced && instantOf(canceledAt) !== null) {
    const data = {
      ...initial,
      cancel_at_period_end: true,
      canceled_at: canceledAt,
      cancel_option: membership.cancel_option ?? null,
      renewal_period_end: periodEnd,
    }
    const name = `leaving_${Date.parse(String(canceledAt))}`
    events.push({ name, type: "membership.cancel_at_period_end_changed", at: canceledAt, data })
  }
  if (endedAt !== null) {
    events.push({ name: "deactivated", type: "membership.deactivated", at: endedAt, data: membership })
  } else if (status === "past_due") {
    // Since when it has this status is not recorded: at the latest, since the end of the imported time.
    events.push({ name: "standing", type: "membership.deactivated", at: range.until, data: membership })
  } else if (status === "paused" || membership.payment_collection_paused === true) {
    events.push({ name: "standing", type: "membership.updated", at: range.until, data: membership })
  }
  return write(membership, range, events)
}

/** An announced end is at the period's end, any other when it was canceled; else the time of the last change is used. */
function endOf(membership: JsonObject): Instant | null {
  const periodEnd = instantOf(membership.renewal_period_end)
  const canceledAt = instantOf(membership.canceled_at)
  const updatedAt = instantOf(membership.updated_at)
  if (membership.status === "expired" || membership.cancel_at_period_end === true) return periodEnd ?? updatedAt
  return canceledAt ?? updatedAt ?? periodEnd
}

/** Its first and its last failed attempt, and its payment. */
export function paymentEvents(payment: JsonObject, range: HistoryRange): HistoricalEvent[] {
  const { status, created_at: createdAt, paid_at: paidAt, last_payment_attempt: lastAttempt } = payment
  const failures = countOf(payment.payments_failed) ?? 0
  const isPaid = instantOf(paidAt) !== null
  const events: PastEvent[] = []
  const failed = (name: string, at: unknown, attempt: number, next: unknown): void => {
    const { next_payment_attempt: _, ...rest } = payment
    const data = {
      ...rest,
      status: "open",
      paid_at: null,
      refunded_at: null,
      refunded_amount: 0,
      payments_failed: attempt,
      last_payment_attempt: at,
      ...(next !== undefined && { next_payment_attempt: next }),
    }
    events.push({ name, type: "payment.failed", at, data })
  }
  const hasLast = !isPaid && failures > 0 && instantOf(lastAttempt) !== null
  if (failures > 1 || (failures > 0 && !hasLast)) {
    failed("failed_1", createdAt, 1, isPaid ? paidAt : hasLast ? lastAttempt : undefined)
  }
  if (hasLast) failed(`failed_${failures}`, lastAttempt, failures, payment.next_payment_attempt)
  if (isPaid && status !== "draft") {
    events.push({ name: "succeeded", type: "payment.succeeded", at: paidAt, data: payment })
  }
  return write(payment, range, events)
}

/** Money given back. */
export const refundEvents = (refund: JsonObject, range: HistoryRange): HistoricalEvent[] =>
  refund.status === "succeeded"
    ? write(refund, range, [{ name: "created", type: "refund.created", at: refund.created_at, data: refund }])
    : []

/** Its opening, with its outcome when it is over: the time of that is not recorded. */
export const disputeEvents = (dispute: JsonObject, range: HistoryRange): HistoricalEvent[] =>
  write(dispute, range, [{ name: "created", type: "dispute.created", at: dispute.created_at, data: dispute }])

/** The webhooks of the events up to the end of the range; none for one without an id or a time. */
function write(object: JsonObject, { until, companyId }: HistoryRange, events: readonly PastEvent[]) {
  const id = idOf(object.id)
  return events.flatMap((event): HistoricalEvent[] => {
    const occurredAt = instantOf(event.at)
    if (id === null || occurredAt === null || occurredAt > until) return []
    const providerEventId = `${HISTORY_ID_PREFIX}${id}_${event.name}`
    const webhook = {
      id: providerEventId,
      api_version: "v1",
      type: event.type,
      timestamp: occurredAt,
      company_id: companyId,
      data: event.data,
    }
    const rawBody = utf8(JSON.stringify(webhook))
    return [{ providerEventId, occurredAt, type: event.type, rawBody, headers: new Headers() }]
  })
}
