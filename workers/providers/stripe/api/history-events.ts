/**
 * The past of an object of Stripe, as the webhooks of it. An object shows its current state, so each event resets the fields
 * that changed later. What the object does not record (earlier prices, cancellations withdrawn, attempts of a payment that
 * were never charges) is missing.
 */
import { utf8 } from "../../../../shared/crypto/bytes.ts"
import { HISTORY_ID_PREFIX, type HistoricalEvent } from "../../../../shared/provider.ts"
import { at, idOf, instantOf, isObject, type JsonObject } from "../events/fields.ts"
import { objectLinksOf } from "../events/object-links.ts"
import { API_VERSION } from "./client.ts"

/** In seconds, as Stripe's times are: events after `until` are left to the webhooks. */
export interface HistoryRange {
  readonly since: number
  readonly until: number
  readonly account: string | null
}

interface PastEvent {
  /** Distinguishes the events of one object. */
  readonly name: string
  readonly type: string
  readonly at: unknown
  readonly object: JsonObject
  readonly previous?: JsonObject
}

/** The current customer, at the time of its creation, so that every later event of it takes precedence. */
export const customerEvents = (customer: JsonObject, range: HistoryRange): HistoricalEvent[] =>
  write(customer, range, [
    { name: "created", type: "customer.created", at: customer.created, object: withoutListed(customer) },
  ])

/** An end within this time of the cancellation was not announced. */
const ANNOUNCED_SECONDS_MIN = 60

/** Its start, the end of its trial, a cancellation announced and not withdrawn, its end, and its current status. */
export function subscriptionEvents(subscription: JsonObject, range: HistoryRange): HistoricalEvent[] {
  const { created, ended_at: ended, trial_end: trialEnd, canceled_at: canceled, status } = subscription
  if (isSecond(ended) && ended < range.since) return []
  const neverBegan = status === "incomplete" || status === "incomplete_expired"
  const before = (moment: unknown): string =>
    neverBegan ? "incomplete" : isSecond(trialEnd) && isSecond(moment) && trialEnd > moment ? "trialing" : "active"
  const initial = {
    ...subscription,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: null,
    ended_at: null,
    pause_collection: null,
  }
  const events: PastEvent[] = [
    {
      name: "created",
      type: "customer.subscription.created",
      at: created,
      object: { ...initial, status: before(created) },
    },
  ]

  const isOver = isSecond(ended) && ended <= range.until
  const continuedAfter =
    isSecond(trialEnd) && isSecond(created) && trialEnd > created && (!isSecond(ended) || ended > trialEnd)
  if (continuedAfter && (isOver || BILLED_STATUSES.has(String(status)))) {
    const changed = { object: { ...initial, status: "active" }, previous: { status: "trialing" } }
    events.push({ name: "trial_ended", type: UPDATED, at: trialEnd, ...changed })
  }

  const isCanceling = subscription.cancel_at_period_end === true || isSecond(subscription.cancel_at)
  const wasAsked = at(subscription, "cancellation_details", "reason") === "cancellation_requested"
  const hadNotice = isSecond(ended) && isSecond(canceled) && ended - canceled >= ANNOUNCED_SECONDS_MIN
  if (isSecond(ended) ? hadNotice && (isCanceling || wasAsked) : isCanceling) {
    const announced = isSecond(canceled) ? canceled : created
    const object = {
      ...initial,
      status: before(announced),
      canceled_at: announced,
      cancel_at: subscription.cancel_at ?? ended ?? null,
      cancel_at_period_end: subscription.cancel_at_period_end === true,
      cancellation_details: subscription.cancellation_details ?? null,
    }
    const previous = { cancel_at: null, cancel_at_period_end: false }
    events.push({ name: `leaving_${String(announced)}`, type: UPDATED, at: announced, object, previous })
  }
  if (status === "incomplete_expired") {
    const previous = { status: "incomplete" }
    events.push({ name: "expired", type: UPDATED, at: ended ?? created, object: subscription, previous })
  } else if (isOver) {
    events.push({ name: "deleted", type: "customer.subscription.deleted", at: ended, object: subscription })
  } else if (PAYMENT_PROBLEM_STATUSES.has(String(status)) || isObject(subscription.pause_collection)) {
    // Since when it has this status is not recorded: at the latest, since the end of the imported time.
    const previous = { status: "active", pause_collection: null }
    events.push({ name: "standing", type: UPDATED, at: range.until, object: subscription, previous })
  }
  return write(subscription, range, events)
}

const UPDATED = "customer.subscription.updated"
const PAYMENT_PROBLEM_STATUSES: ReadonlySet<string> = new Set(["past_due", "unpaid", "paused"])
/** Statuses that are only possible after the trial has ended and billing started. */
const BILLED_STATUSES: ReadonlySet<string> = new Set(["active", "past_due", "unpaid"])

/** Whether there were failed attempts, so that the charges of the invoice are worth a call. */
export function hasFailedAttempts(invoice: JsonObject): boolean {
  const attempts = typeof invoice.attempt_count === "number" ? invoice.attempt_count : 0
  return invoice.status !== "draft" && attempts > (invoice.status === "paid" ? 1 : 0)
}

/** Its failed attempts, one for each failed charge, and how it ended. `charges` are those of its payment intent. */
export function invoiceEvents(
  invoice: JsonObject,
  charges: readonly JsonObject[],
  range: HistoryRange,
): HistoricalEvent[] {
  if (invoice.status === "draft") return []
  const paidAt = at(invoice, "status_transitions", "paid_at")
  const ends: PastEvent[] = [
    {
      name: "uncollectible",
      type: "invoice.marked_uncollectible",
      at: at(invoice, "status_transitions", "marked_uncollectible_at"),
      object: invoice,
    },
    {
      name: "voided",
      type: "invoice.voided",
      at: at(invoice, "status_transitions", "voided_at"),
      object: invoice,
    },
    { name: "paid", type: "invoice.paid", at: paidAt, object: invoice },
  ]
  const failures = hasFailedAttempts(invoice) ? failuresOf(invoice, charges, paidAt) : []
  return write(invoice, range, [...failures, ...ends.filter((end) => isSecond(end.at))])
}

function failuresOf(invoice: JsonObject, charges: readonly JsonObject[], paidAt: unknown): PastEvent[] {
  const attempts = typeof invoice.attempt_count === "number" ? invoice.attempt_count : 1
  const failed = charges
    .filter(({ status, created }) => status === "failed" && isSecond(created))
    .sort((a, b) => Number(a.created) - Number(b.created))
  const isOpen = invoice.status === "open"
  const asOpen = (attempt: number, next: unknown): JsonObject => {
    const { next_payment_attempt: _, hosted_invoice_url: page, ...rest } = invoice
    return {
      ...rest,
      status: "open",
      attempted: true,
      attempt_count: attempt,
      amount_paid: 0,
      amount_remaining: isOpen ? invoice.amount_remaining : invoice.amount_due,
      paid_out_of_band: false,
      ...(isOpen && { hosted_invoice_url: page }),
      ...(next !== undefined && { next_payment_attempt: next }),
    }
  }
  if (failed.length === 0) {
    // Nothing was charged, for example without a payment method: only the first attempt, with the bill, is sure to have failed.
    const next = isOpen && attempts === 1 ? invoice.next_payment_attempt : undefined
    const first = at(invoice, "status_transitions", "finalized_at") ?? invoice.created
    return [{ name: "failed", type: "invoice.payment_failed", at: first, object: asOpen(1, next) }]
  }
  return failed.map((charge, index) => {
    const following = failed[index + 1]?.created ?? (isSecond(paidAt) ? paidAt : undefined)
    const next = following ?? (isOpen ? invoice.next_payment_attempt : undefined)
    return {
      name: `failed_${idOf(charge.id) ?? index}`,
      type: "invoice.payment_failed",
      at: charge.created,
      object: asOpen(Math.min(index + 1, attempts), next),
    }
  })
}

/** Whether it failed or succeeded. One that names no customer is a guest's, who has no subscription. */
export function chargeEvents(charge: JsonObject, range: HistoryRange): HistoricalEvent[] {
  if (objectLinksOf(charge).customer === null) return []
  const event = { at: charge.created, object: withoutListed(charge) }
  if (charge.status === "failed") return write(charge, range, [{ name: "failed", type: "charge.failed", ...event }])
  if (charge.status !== "succeeded" || charge.captured === false) return []
  return write(charge, range, [{ name: "succeeded", type: "charge.succeeded", ...event }])
}

/** Money given back; with its charge expanded, the event has the total. */
export function refundEvents(refund: JsonObject, range: HistoryRange): HistoricalEvent[] {
  const isVoid = refund.status === "failed" || refund.status === "canceled"
  if (isVoid || isOfGuest(refund)) return []
  return write(refund, range, [{ name: "created", type: "refund.created", at: refund.created, object: refund }])
}

/** Its opening and, once it is over, its outcome: at the time the money came back, else at that of its opening. */
export function disputeEvents(dispute: JsonObject, range: HistoryRange): HistoricalEvent[] {
  if (isOfGuest(dispute)) return []
  const opened = { name: "created", type: "charge.dispute.created", at: dispute.created, object: dispute }
  if (!ENDED_DISPUTES.has(String(dispute.status))) return write(dispute, range, [opened])
  const transactions = Array.isArray(dispute.balance_transactions) ? dispute.balance_transactions : []
  const last = at(transactions, transactions.length - 1, "created")
  const closed = { name: "closed", type: "charge.dispute.closed", at: last ?? dispute.created, object: dispute }
  return write(dispute, range, [opened, closed])
}

const ENDED_DISPUTES: ReadonlySet<string> = new Set(["won", "lost", "warning_closed", "prevented"])

const isOfGuest = ({ charge }: JsonObject): boolean => isObject(charge) && objectLinksOf(charge).customer === null

const isSecond = (value: unknown): value is number => instantOf(value) !== null && value !== 0

/** Without the lists within an object that are not read; they can be long. */
const withoutListed = ({ refunds: _, sources: __, subscriptions: ___, ...object }: JsonObject): JsonObject => object

/** The webhooks of the events up to the end of the range; none for one without an id or a time. */
function write(object: JsonObject, { until, account }: HistoryRange, events: readonly PastEvent[]) {
  const id = idOf(object.id)
  return events.flatMap((event): HistoricalEvent[] => {
    const occurredAt = instantOf(event.at)
    if (id === null || occurredAt === null || !isSecond(event.at) || event.at > until) return []
    // Ids of events have no dots, those of old customers may.
    const providerEventId = `${HISTORY_ID_PREFIX}${id}_${event.name}`.replaceAll(".", "-")
    const webhook = {
      id: providerEventId,
      object: "event",
      api_version: API_VERSION,
      created: event.at,
      type: event.type,
      ...(account !== null && { account }),
      data: { object: event.object, ...(event.previous && { previous_attributes: event.previous }) },
    }
    const rawBody = utf8(JSON.stringify(webhook))
    return [{ providerEventId, occurredAt, type: event.type, rawBody, headers: new Headers() }]
  })
}
