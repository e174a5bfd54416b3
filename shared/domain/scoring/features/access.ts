/**
 * The periods in which a customer had paid access, from the ledger. Trials, unpaid first invoices and states in which the
 * provider has stopped service are not access; a pause requested by the member is.
 */
import { type Fact, type Instant, laterOf } from "../../facts.ts"
import { apply } from "../../recovery/fold.ts"
import { type CustomerState, EMPTY_STATE, payingSince, type SubscriptionState, subscriptionOf } from "../../state.ts"

/** Why paid access ended. `other`: the company or a policy ended it. */
export type EndOfAccess = "voluntary" | "payment_failure" | "other"

/** An uninterrupted period with at least one paid subscription. `to` and `end` are null while it lasts. */
export type AccessPeriod = { readonly from: Instant } & (
  | { readonly to: null; readonly end: null }
  | { readonly to: Instant; readonly end: EndOfAccess }
)

/** The state of a ledger, and its access periods in order of time. */
export interface AccessHistory {
  readonly state: CustomerState
  readonly periods: readonly AccessPeriod[]
}

/** Frequent kinds of facts that concern neither subscriptions nor payments. */
const SIGNALS: ReadonlySet<Fact["kind"]> = new Set(["usage_recorded", "ticket_opened", "ticket_closed"])

/** Folds facts, which must be in ledger order, and records when paid access started and ended. */
export function accessHistory(facts: readonly Fact[]): AccessHistory {
  let state = EMPTY_STATE
  const periods: AccessPeriod[] = []
  for (const fact of facts) {
    if (SIGNALS.has(fact.kind)) continue
    const before = state
    state = apply(before, fact)
    const last = periods.at(-1)
    const isIn = last !== undefined && last.to === null
    const serving = Object.values(state.subscriptions).find(grantsAccess)
    // A fact changes one subscription: where none gave access before, `serving` is the one that it is about.
    if (serving !== undefined && !isIn) {
      periods.push({ from: beginningOf(serving, before, fact, last), to: null, end: null })
    } else if (serving === undefined && isIn) {
      periods.splice(-1, 1, { from: last.from, to: endingOf(fact, last), end: causeOf(state, fact) })
    }
  }
  return { state, periods }
}

/** Joins periods with gaps up to the grace period: leaving and returning within it is not churn. */
export function joinPeriods(periods: readonly AccessPeriod[], graceMs: number): AccessPeriod[] {
  const joined: AccessPeriod[] = []
  for (const period of periods) {
    const last = joined.at(-1)
    if (last?.to && Date.parse(period.from) - Date.parse(last.to) <= graceMs) {
      joined.splice(-1, 1, { ...period, from: last.from })
    } else joined.push(period)
  }
  return joined
}

/** True while the subscription is paid, or its payment is being retried. */
export const grantsAccess = ({ status, endedAt, paused }: SubscriptionState): boolean =>
  endedAt === null && paused !== "payment_failure" && (status === "active" || status === "past_due")

/** A subscription seen for the first time may have started before its first fact; a trial does not count. */
function beginningOf(
  subscription: SubscriptionState,
  before: CustomerState,
  fact: Fact,
  last: AccessPeriod | undefined,
): Instant {
  const isNew = subscriptionOf(before, subscription.id) === undefined
  const from = earlierOf(isNew ? payingSince(subscription) : null, fact.occurredAt)
  return last?.to ? laterOf(from, last.to) : from
}

/** The provider's end time, if it lies within the period and not in the future. */
function endingOf(fact: Fact, period: AccessPeriod): Instant {
  const stated = fact.kind === "subscription_ended" ? fact.subscription.endedAt : null
  const to = earlierOf(stated, fact.occurredAt)
  return to > period.from ? to : fact.occurredAt
}

/** `stated`, unless it is unknown or after `limit`. */
const earlierOf = (stated: Instant | null, limit: Instant): Instant =>
  stated !== null && stated < limit ? stated : limit

function causeOf(state: CustomerState, fact: Fact): EndOfAccess {
  if (fact.kind !== "subscription_ended") return "payment_failure"
  switch (fact.reason) {
    case "requested":
      return "voluntary"
    case "payment_failed":
    case "payment_disputed":
      return "payment_failure"
    case "policy":
      return "other"
    case "unknown": {
      const { subscriptionId } = fact.subscription
      const isUnpaid = Object.values(state.payments).some(
        (payment) =>
          (payment.status === "failed" || payment.status === "uncollectible") &&
          (payment.subscriptionId ?? subscriptionId) === subscriptionId,
      )
      return isUnpaid ? "payment_failure" : "voluntary"
    }
  }
}
