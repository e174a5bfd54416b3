/**
 * When a customer had paid access: the ledger read as spells. Trials, first invoices that never went through and states in
 * which the provider has stopped serving are no access; a pause that the member asked for is.
 */
import type { Fact, Instant } from "../../facts.ts"
import { apply } from "../../recovery/fold.ts"
import { type CustomerState, EMPTY_STATE, type SubscriptionState, subscriptionOf } from "../../state.ts"

/** Why paid access ended. `other`: the company or a policy ended it. */
export type EndOfAccess = "voluntary" | "payment_failure" | "other"

/** A time without interruption in which at least one subscription was paid for. `to` is null while it lasts. */
export interface AccessPeriod {
  readonly from: Instant
  readonly to: Instant | null
  readonly end: EndOfAccess | null
}

/** What a ledger says, and the spells it tells of, in order of time. */
export interface AccessHistory {
  readonly state: CustomerState
  readonly spells: readonly AccessPeriod[]
}

/** Facts of these kinds tell nothing of subscriptions or payments; a ledger is full of them. */
const SIGNALS: ReadonlySet<Fact["kind"]> = new Set(["usage_recorded", "ticket_opened", "ticket_closed"])

/** Folds facts that are in ledger order, and notes when paid access began and ended. */
export function accessHistory(facts: readonly Fact[]): AccessHistory {
  let state = EMPTY_STATE
  const spells: AccessPeriod[] = []
  for (const fact of facts) {
    if (SIGNALS.has(fact.kind)) continue
    const before = state
    state = apply(before, fact)
    if (state.subscriptions === before.subscriptions) continue
    const last = spells.at(-1)
    const isIn = last !== undefined && last.to === null
    const serving = Object.values(state.subscriptions).filter(grantsAccess)
    if (serving.length > 0 && !isIn) {
      spells.push({ from: beginningOf(serving, before, fact, last), to: null, end: null })
    } else if (serving.length === 0 && isIn) {
      spells.splice(-1, 1, { from: last.from, to: endingOf(state, fact, last), end: causeOf(state, fact) })
    }
  }
  return { state, spells }
}

/** Spells with shorter gaps than the grace joined: leaving and coming back within it is not leaving. */
export function joinPeriods(spells: readonly AccessPeriod[], graceMs: number): AccessPeriod[] {
  const joined: AccessPeriod[] = []
  for (const spell of spells) {
    const last = joined.at(-1)
    if (last?.to && Date.parse(spell.from) - Date.parse(last.to) <= graceMs) {
      joined.splice(-1, 1, { ...spell, from: last.from })
    } else joined.push(spell)
  }
  return joined
}

/** True while the subscription serves a member who pays, or whose payment is being tried again. */
export const grantsAccess = ({ status, endedAt, paused }: SubscriptionState): boolean =>
  endedAt === null && paused !== "payment_failure" && (status === "active" || status === "past_due")

/** One that is seen for the first time may be older than the news of it; a trial is not part of it. */
function beginningOf(
  serving: readonly SubscriptionState[],
  before: CustomerState,
  fact: Fact,
  last: AccessPeriod | undefined,
): Instant {
  const starts = serving.map((subscription) => {
    const isNew = !Object.hasOwn(before.subscriptions, subscription.id)
    const from = isNew ? later(subscription.startedAt, subscription.trialEnd) : null
    return from !== null && from < fact.occurredAt ? from : fact.occurredAt
  })
  const first = starts.reduce((a, b) => (a < b ? a : b))
  return last?.to && first < last.to ? last.to : first
}

/** The provider's own word on when it ended, where that is within the spell and not in the future. */
function endingOf(state: CustomerState, fact: Fact, spell: AccessPeriod): Instant {
  const said =
    "subscription" in fact ? (subscriptionOf(state, fact.subscription.subscriptionId)?.endedAt ?? null) : null
  return said !== null && said > spell.from && said < fact.occurredAt ? said : fact.occurredAt
}

const later = (a: Instant | null, b: Instant | null): Instant | null =>
  a === null ? null : b !== null && b > a ? b : a

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
