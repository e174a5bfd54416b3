/** Memberships: Whop's subscriptions. They include one-time and lifetime memberships, which have no renewal. */
import type {
  EndReason,
  Instant,
  ProviderFactBody,
  SubscriptionItem,
  SubscriptionSnapshot,
  SubscriptionStatus,
} from "../../../../shared/domain/facts.ts"
import { currencyCodeOf } from "../../../../shared/domain/money.ts"
import { endByOf, type StatedEnd } from "../../../../shared/domain/recovery/intent.ts"
import { ok } from "../../../../shared/result.ts"
import { customerSeen, type EventReader, notUsed, ownId, statedInstant } from "../events/event-reading.ts"
import {
  codeTextOf,
  countOf,
  firstOf,
  instantOf,
  type JsonObject,
  related,
  relatedId,
  textOf,
} from "../events/fields.ts"
import { firstMoney } from "./money.ts"

/** Whop's statuses (@whop/sdk, MembershipStatus) mapped to Stripe's. */
const STATUSES: ReadonlyMap<string, SubscriptionStatus> = new Map([
  ["trialing", "trialing"],
  ["active", "active"],
  // Active until the period ends; `cancelAt` has that time.
  ["canceling", "active"],
  // Paid in full (one payment, or the last of several), and valid.
  ["completed", "active"],
  ["past_due", "past_due"],
  ["paused", "paused"],
  ["canceled", "canceled"],
  ["expired", "canceled"],
  ["drafted", "incomplete"],
  // `unresolved` is not documented. "unpaid" would mean that Whop has stopped collecting, so it stays unknown.
])

/** A membership activated this long after its creation was active before: it was reactivated (paid again, or restored). */
const REACTIVATION_AFTER_MS = 24 * 60 * 60 * 1000

/** Reads `membership.*`. */
export const readMembership: EventReader = ({ kind, data, previous, at }) => {
  const id = ownId(data, "membership")
  if (!id.ok) return id
  const snapshot = snapshotOf(id.value, data, at)
  const fact = membershipFact(kind, data, previous, snapshot, at)
  if (fact === null) return notUsed(data)
  return ok({
    facts: [customerSeen(data), fact],
    subject: data,
    objects: [id.value, relatedId(data, "member")],
  })
}

function membershipFact(
  kind: string,
  data: JsonObject,
  previous: JsonObject,
  subscription: SubscriptionSnapshot,
  at: Instant,
): ProviderFactBody | null {
  switch (kind) {
    case "membership.activated":
      return {
        kind: isReactivation(subscription, previous, at) ? "subscription_resumed" : "subscription_started",
        subscription,
      }
    // A membership whose renewal failed is deactivated while Whop still tries to collect: the member loses access, but the
    // subscription has not ended. Its status is `past_due` then; in every other status the subscription has ended.
    case "membership.deactivated":
      return subscription.status === "past_due"
        ? { kind: "subscription_changed", subscription }
        : ended(data, previous, subscription, at)
    case "membership.trial_ending_soon":
      return { kind: "trial_ending", subscription }
    case "membership.cancel_at_period_end_changed":
      return announcement(data, subscription, at)
    case "membership.updated":
      return update(data, previous, subscription, at)
    default:
      return null
  }
}

/** Null when the event does not say how it changed. An announcement always has a date: without, it would be a withdrawal. */
function announcement(data: JsonObject, subscription: SubscriptionSnapshot, at: Instant): ProviderFactBody | null {
  if (data.cancel_at_period_end === false) return { kind: "subscription_resumed", subscription }
  if (data.cancel_at_period_end !== true) return null
  const cancelAt = subscription.cancelAt ?? subscription.currentPeriodEnd ?? at
  const endBy = endByOf(statedEndOf(data))
  if (endBy === "other") return { kind: "subscription_changed", subscription: { ...subscription, cancelAt, endBy } }
  return {
    kind: "cancellation_announced",
    subscription: { ...subscription, cancelAt, endBy },
    reason: codeTextOf(data.cancel_option),
  }
}

const ended = (
  data: JsonObject,
  previous: JsonObject,
  subscription: SubscriptionSnapshot,
  at: Instant,
): ProviderFactBody => ({
  kind: "subscription_ended",
  subscription: { ...subscription, status: "canceled", cancelAt: null, endedAt: at },
  reason: endReason(data, previous),
})

/** `cancel_…` fields show a request of the member. That Whop stopped collecting shows only in the former status. */
function endReason(data: JsonObject, previous: JsonObject): EndReason {
  const isRequestedByMember =
    textOf(data.cancel_option) !== null ||
    textOf(data.cancellation_reason) !== null ||
    data.cancel_at_period_end === true
  if (isRequestedByMember) return "requested"
  if (previous.status === "past_due") return "payment_failed"
  return instantOf(data.canceled_at) === null ? "unknown" : "requested"
}

function update(
  data: JsonObject,
  previous: JsonObject,
  subscription: SubscriptionSnapshot,
  at: Instant,
): ProviderFactBody {
  if (subscription.status === "canceled") return ended(data, previous, subscription, at)
  if (subscription.paused !== null) return { kind: "subscription_paused", subscription }
  if (previous.payment_collection_paused === true || previous.status === "paused") {
    return { kind: "subscription_resumed", subscription }
  }
  return { kind: "subscription_changed", subscription }
}

function isReactivation({ startedAt }: SubscriptionSnapshot, previous: JsonObject, at: Instant): boolean {
  if (typeof previous.status === "string") return previous.status !== "drafted"
  return startedAt !== null && Date.parse(at) - Date.parse(startedAt) > REACTIVATION_AFTER_MS
}

function snapshotOf(id: string, data: JsonObject, at: Instant): SubscriptionSnapshot {
  const status = STATUSES.get(textOf(data.status) ?? "") ?? "unknown"
  const currentPeriodEnd = statedInstant(data, "renewal_period_end", "current_period_end") ?? null
  const expiresAt = instantOf(data.expires_at)
  const isCanceling = data.cancel_at_period_end === true || data.status === "canceling"
  const isPaused = data.payment_collection_paused === true || status === "paused"
  return {
    subscriptionId: id,
    status,
    currency: currencyCodeOf(firstOf(data, "currency")) ?? currencyCodeOf(related(data, "plan").base_currency),
    items: itemsOf(data),
    startedAt: statedInstant(data, "created_at", "joined_at") ?? null,
    currentPeriodEnd,
    trialEnd: status === "trialing" ? currentPeriodEnd : null,
    cancelAt: isCanceling && status !== "canceled" ? (currentPeriodEnd ?? expiresAt ?? at) : null,
    ...(isCanceling && status !== "canceled" && { endBy: endByOf(statedEndOf(data)) }),
    endedAt: status === "canceled" ? expiresAt : null,
    paused: isPaused ? "requested" : null,
  }
}

/** What the membership says about its end (docs/INTENT.md). */
function statedEndOf(data: JsonObject): StatedEnd {
  const option = textOf(data.cancel_option)
  const isRequested = instantOf(data.canceled_at) !== null
  const hasReasonOfMember = option !== null || textOf(data.cancellation_reason) !== null
  return {
    atPeriodEnd: data.cancel_at_period_end === true || data.status === "canceling",
    hasReasonOfMember,
    isRequested,
    isSwitch: option === "switching",
    // Whop records when the customer requested the end, and why: null in both means that the customer did not.
    isUnrequested: !isRequested && !hasReasonOfMember && data.canceled_at === null && data.cancel_option === null,
    ...{ byProvider: false, bySchedule: false, sinceCreation: false, isExtension: false },
  }
}

/** The plan as the only item. v1 has only its id; v2 has its price and period. */
function itemsOf(data: JsonObject): readonly SubscriptionItem[] {
  const priceId = relatedId(data, "plan")
  const productId = relatedId(data, "product")
  if (priceId === null && productId === null) return []
  const plan = related(data, "plan")
  const price = firstMoney(plan, ["renewal_price"], plan.base_currency ?? data.currency)
  const period = periodOf(countOf(data.billing_period_days) ?? countOf(plan.billing_period))
  const isRecurring = plan.plan_type !== "one_time"
  return [
    {
      priceId,
      productId,
      unitAmountMinor: price.ok && isRecurring ? price.value.amountMinor : null,
      quantity: Math.max(countOf(data.quantity) ?? 1, 1),
      interval: period?.interval ?? null,
      intervalCount: period?.count ?? 1,
      usageType: "licensed",
    },
  ]
}

/**
 * Whop counts periods in days and renews multiples of 30 on the same day of the month, 365 on the same day of the year
 * (docs.whop.com/developer/guides/memberships).
 */
function periodOf(
  days: number | null,
): Pick<{ interval: "day" | "week" | "month" | "year"; count: number }, "interval" | "count"> | null {
  if (days === null || days === 0) return null
  if (days % 365 === 0) return { interval: "year", count: days / 365 }
  if (days % 30 === 0) return { interval: "month", count: days / 30 }
  if (days % 7 === 0) return { interval: "week", count: days / 7 }
  return { interval: "day", count: days }
}
