/** Events about subscriptions: one fact each, the most specific that the event supports. */
import type {
  EndReason,
  PreviousAttributes,
  ProviderFactBody,
  SubscriptionSnapshot,
} from "../../../../shared/domain/facts.ts"
import { changedParts } from "../../../../shared/domain/recovery/fold/same-second.ts"
import type { StripeEvent } from "../events/envelope.ts"
import { type EventReader, unhandled, withFacts } from "../events/event-reading.ts"
import { at, codeOf, isObject, type JsonObject } from "../events/fields.ts"
import { snapshotOf } from "./subscription-snapshot.ts"

export const subscriptionCreated: EventReader = ({ object }) => {
  const snapshot = snapshotOf(object, { isCreated: true })
  return snapshot.ok
    ? withFacts({ kind: "subscription_started", subscription: snapshot.value })
    : unhandled(snapshot.error)
}

/** `customer.subscription.trial_will_end`: sent three days before, or at once when the trial was shortened. */
export const trialWillEnd = subscriptionReader((subscription) => ({ kind: "trial_ending", subscription }))

export const subscriptionPaused = subscriptionReader((subscription) => ({ kind: "subscription_paused", subscription }))

export const subscriptionResumed = subscriptionReader((subscription) => ({
  kind: "subscription_resumed",
  subscription,
}))

/** For events that only show the current state of the subscription. */
export const subscriptionChanged = subscriptionReader((subscription) => ({
  kind: "subscription_changed",
  subscription,
}))

export const subscriptionDeleted = subscriptionReader((subscription, { object }) => ({
  kind: "subscription_ended",
  subscription,
  reason: endReasonOf(object, subscription),
}))

/** `customer.subscription.updated`: the former values show what changed. */
export const subscriptionUpdated = subscriptionReader((subscription, event) => {
  const { object, previous } = event
  const before = { ...object, ...previous }
  const earlier = snapshotOf(before)
  const replaced: { replaced?: PreviousAttributes } =
    earlier.ok && Object.keys(previous).length > 0 ? { replaced: changedParts(earlier.value, subscription) } : {}
  const wasCanceling = earlier.ok ? isRequestedByMember(before, earlier.value) : isCanceling(before)
  // A subscription that has ended can still be updated, for example its metadata; only the change of status is the end.
  if (hasEnded(object) && !hasEnded(before)) {
    return { kind: "subscription_ended", subscription, reason: endReasonOf(object, subscription) }
  }
  if (isRequestedByMember(object, subscription) && !wasCanceling) {
    return { kind: "cancellation_announced", subscription, reason: cancellationReasonOf(object), ...replaced }
  }
  if (isPaused(object) && !isPaused(before)) return { kind: "subscription_paused", subscription, ...replaced }
  const isResumed =
    (wasCanceling && !isRequestedByMember(object, subscription)) || (isPaused(before) && !isPaused(object))
  if (isResumed && !hasEnded(object)) return { kind: "subscription_resumed", subscription, ...replaced }
  return { kind: "subscription_changed", subscription, ...replaced }
})

/** Whether the member requested the end. */
const isRequestedByMember = (object: JsonObject, { endBy = "member" }: SubscriptionSnapshot): boolean =>
  isCanceling(object) && endBy === "member"

function subscriptionReader(
  factOf: (subscription: SubscriptionSnapshot, event: StripeEvent) => ProviderFactBody,
): EventReader {
  return (event) => {
    const snapshot = snapshotOf(event.object, { previous: event.previous })
    return snapshot.ok ? withFacts(factOf(snapshot.value, event)) : unhandled(snapshot.error)
  }
}

const hasEnded = (subscription: JsonObject): boolean =>
  subscription.status === "canceled" || subscription.status === "incomplete_expired"

const isCanceling = (subscription: JsonObject): boolean =>
  subscription.cancel_at_period_end === true || typeof subscription.cancel_at === "number"

/** Collection may be paused (the status stays `active`), or the subscription itself. */
const isPaused = (subscription: JsonObject): boolean =>
  subscription.status === "paused" || isObject(subscription.pause_collection)

/** What the member selected when canceling, else Stripe's reason. The comment is free text and is left out. */
const cancellationReasonOf = (subscription: JsonObject): string | null =>
  codeOf(at(subscription, "cancellation_details", "feedback")) ??
  codeOf(at(subscription, "cancellation_details", "reason"))

const END_REASONS: ReadonlyMap<string, EndReason> = new Map([
  ["cancellation_requested", "requested"],
  ["payment_failed", "payment_failed"],
  ["payment_disputed", "payment_disputed"],
  ["canceled_by_retention_policy", "policy"],
])

/** Stripe gives the reason since 2023; before, an announced end was requested, and all others are unknown. */
function endReasonOf(subscription: JsonObject, snapshot: SubscriptionSnapshot): EndReason {
  const reason = codeOf(at(subscription, "cancellation_details", "reason"))
  if (reason === "cancellation_requested" && snapshot.cancelAt !== null && snapshot.endBy === "other") return "policy"
  if (reason !== null) return END_REASONS.get(reason) ?? "unknown"
  if (snapshot.status === "incomplete_expired") return "payment_failed"
  return isCanceling(subscription) ? "requested" : "unknown"
}
