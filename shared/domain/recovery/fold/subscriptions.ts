/** Subscriptions, and the `cancellation` case that an announced cancellation opens. */
import type { EndBy, Fact, Instant, SubscriptionItem, SubscriptionSnapshot, SubscriptionStatus } from "../../facts.ts"
import {
  type CaseState,
  type CustomerState,
  type PaymentState,
  type SubscriptionState,
  subscriptionOf,
} from "../../state.ts"
import { cancellationCaseId, close, isUnpaidTrial, markLive, originOf, withCase } from "./cases.ts"
import { entriesWhere, hasEntry, withEntry } from "./records.ts"
import { resolveSameSecond } from "./same-second.ts"

type SubscriptionFact = Extract<Fact, { readonly subscription: SubscriptionSnapshot }>

/**
 * A new snapshot of a subscription. One that has ended stays ended unless the provider starts or resumes it again (Whop
 * does; at Stripe `canceled` is terminal).
 */
export function changeSubscription(state: CustomerState, fact: SubscriptionFact): CustomerState {
  const previous = subscriptionOf(state, fact.subscription.subscriptionId)
  const isRestart = fact.kind === "subscription_started" || fact.kind === "subscription_resumed"
  if (previous?.endedAt && !isRestart) return state

  const subscription = merge(state, fact)
  const changed = withSubscription(state, subscription)
  const announced = applyAnnouncement(changed, previous, subscription, fact)
  const next = applyPlanChange(announced, subscription, fact)
  return subscription.status === "unpaid" ? closeOpenCasesAsLost(next, fact, "provider_gave_up") : next
}

/** The subscription ended: all its open cases are lost. */
export function endSubscription(
  state: CustomerState,
  fact: Extract<Fact, { kind: "subscription_ended" }>,
): CustomerState {
  // After the end, contradictions within a second do not matter.
  const { unsettledAt: _, ...merged } = merge(state, fact)
  const subscription: SubscriptionState = {
    ...merged,
    status: merged.status === "incomplete_expired" ? "incomplete_expired" : "canceled",
    endedAt: fact.subscription.endedAt ?? fact.occurredAt,
    endReason: fact.reason,
  }
  const ended = withSubscription(state, subscription)
  const cancellation = openCancellation(ended, subscription.id)
  const withoutCancellation = cancellation
    ? withCase(ended, close(cancellation, "lost", "subscription_ended", fact.occurredAt))
    : ended
  return closeOpenCasesAsLost(withoutCancellation, fact, "subscription_ended")
}

/** The order of two snapshots cannot be found out: the current one stays. */
export function keepAsKnown(
  state: CustomerState,
  fact: Extract<Fact, { kind: "subscription_not_found" }>,
): CustomerState {
  const subscription = subscriptionOf(state, fact.subscriptionId)
  if (subscription?.unsettledAt === undefined) return state
  const { unsettledAt: _, ...settled } = subscription
  return withSubscription(state, settled)
}

function merge(state: CustomerState, fact: SubscriptionFact): SubscriptionState {
  const previous = subscriptionOf(state, fact.subscription.subscriptionId)
  const replaced = "replaced" in fact ? fact.replaced : undefined
  const { snapshot, second, isUnsettled } = resolveSameSecond(previous, fact.subscription, replaced, fact.occurredAt)
  const endBy = endByIn(snapshot, previous, fact)
  const hasPaid = previous?.hasPaid ?? hasPaidFor(state, snapshot.subscriptionId)
  return {
    id: snapshot.subscriptionId,
    status: snapshot.status,
    currency: snapshot.currency ?? previous?.currency ?? null,
    items: mergeItems(previous?.items ?? [], snapshot.items),
    startedAt: snapshot.startedAt ?? previous?.startedAt ?? null,
    currentPeriodEnd: snapshot.currentPeriodEnd ?? previous?.currentPeriodEnd ?? null,
    trialEnd: snapshot.trialEnd ?? previous?.trialEnd ?? null,
    cancelAt: snapshot.cancelAt,
    endedAt: null,
    endReason: null,
    paused: snapshot.paused,
    ...(previous?.droppedEpisodes !== undefined && { droppedEpisodes: previous.droppedEpisodes }),
    ...(endBy !== undefined && { endBy }),
    ...(snapshot.pauseEndsAt !== undefined && { pauseEndsAt: snapshot.pauseEndsAt }),
    ...(!hasPaid && (previous?.wasFree || isFree(snapshot.items)) && { wasFree: true }),
    ...(second !== undefined && { second }),
    ...(isUnsettled && { unsettledAt: fact.occurredAt }),
    hasPaid,
  }
}

/**
 * Who asked for the end. A subscription that starts with an end has a fixed term, and that stays `other` while later events
 * only repeat or extend it.
 */
function endByIn(
  { cancelAt, endBy }: SubscriptionSnapshot,
  previous: SubscriptionState | undefined,
  { kind }: SubscriptionFact,
): EndBy | undefined {
  if (cancelAt === null) return undefined
  if (kind === "subscription_started" && endBy === undefined) return "other"
  const term = previous?.endBy === "other" ? previous.cancelAt : null
  const isFixedTerm = kind !== "cancellation_announced" && term !== null && term <= cancelAt
  return isFixedTerm ? "other" : endBy
}

const isFree = (items: readonly SubscriptionItem[]): boolean =>
  items.length > 0 && items.every((item) => item.usageType === "licensed" && item.unitAmountMinor === 0)

/** Some events name a price without its amount (Whop's memberships): then the known amount is kept. */
function mergeItems(
  known: readonly SubscriptionItem[],
  stated: readonly SubscriptionItem[],
): readonly SubscriptionItem[] {
  if (stated.length === 0) return known
  return stated.map((item) => {
    const before = known.find((entry) => entry.priceId === item.priceId)
    if (item.unitAmountMinor !== null || !before) return item
    return {
      ...item,
      unitAmountMinor: before.unitAmountMinor,
      interval: item.interval ?? before.interval,
      intervalCount: item.interval === null ? before.intervalCount : item.intervalCount,
    }
  })
}

const hasPaidFor = (state: CustomerState, subscriptionId: string): boolean =>
  hasEntry(
    state.payments,
    (payment) => payment.subscriptionId === subscriptionId && payment.status === "succeeded" && payment.amountMinor > 0,
  )

const withSubscription = (state: CustomerState, subscription: SubscriptionState): CustomerState => ({
  ...state,
  subscriptions: withEntry(state.subscriptions, subscription.id, subscription),
})

/** Opens a case when an end is announced, and closes it as recovered when the announcement is withdrawn. */
function applyAnnouncement(
  state: CustomerState,
  previous: SubscriptionState | undefined,
  subscription: SubscriptionState,
  fact: SubscriptionFact,
): CustomerState {
  const open = openCancellation(state, subscription.id)
  // The member's cancellation is withdrawn, also where a fixed term still applies.
  const isWithdrawn = subscription.endBy === "other" && fact.kind === "subscription_resumed"
  if (subscription.cancelAt === null || isWithdrawn) {
    return open ? withCase(state, close(open, "recovered", "resumed", fact.occurredAt)) : state
  }
  const episodes = state.cases.filter(
    (candidate) => candidate.kind === "cancellation" && candidate.subscriptionId === subscription.id,
  )
  // If an operator closed the case, only a new announcement opens another.
  const isSameAnnouncement = previous?.endedAt === null && previous.cancelAt !== null
  const isClosedByOperator = isSameAnnouncement && episodes.at(-1)?.closeReason === "closed_by_operator"
  const isWithoutLoss = NEVER_PAID_STATUSES.has(subscription.status) || isUnpaidFirstSale(subscription, fact.occurredAt)
  // Only an announcement is news of an open cancellation; other events of the subscription repeat it.
  if (open) return fact.kind === "cancellation_announced" ? withCase(state, markLive(open, fact)) : state
  if (isClosedByOperator || isWithoutLoss || subscription.endBy === "other") return state
  const isSwitch = isSameAnnouncement ? previous?.isSwitch : hasStartedAnother(state, subscription.id, fact.occurredAt)
  if (isSwitch) return withSubscription(state, { ...subscription, isSwitch })

  // The cancellation supersedes the at-risk case.
  const risk = openRisk(state, subscription.id)
  const superseded = risk ? withCase(state, close(risk, "lost", "cancellation_announced", fact.occurredAt)) : state
  return withCase(superseded, {
    id: cancellationCaseId(subscription.id, (subscription.droppedEpisodes ?? 0) + episodes.length + 1),
    kind: "cancellation",
    status: "open",
    subscriptionId: subscription.id,
    invoiceId: null,
    ...amountAtStake(state, subscription),
    declineCode: null,
    needsAuthentication: false,
    invoiceFailures: [],
    chargeFailures: [],
    openedAt: fact.occurredAt,
    closedAt: null,
    closeReason: null,
    recoveredMinor: 0,
    newCard: null,
    disputeId: null,
    ...originOf(fact),
  })
}

/**
 * A member who starts another subscription within this time before or after announcing the end of one, or after that end,
 * changes plans.
 */
const SWITCH_WINDOW_MS = 7 * 86_400_000

const isLive = ({ status, endedAt }: SubscriptionState): boolean =>
  endedAt === null && (status === "active" || status === "trialing")

/** Whether another running subscription of the customer was started shortly before. */
const hasStartedAnother = (state: CustomerState, subscriptionId: string, at: Instant): boolean =>
  hasEntry(
    state.subscriptions,
    (other) =>
      other.id !== subscriptionId &&
      isLive(other) &&
      other.cancelAt === null &&
      other.startedAt !== null &&
      other.startedAt <= at &&
      Date.parse(at) - Date.parse(other.startedAt) <= SWITCH_WINDOW_MS,
  )

/** Closes the cancellation cases of a member who has started another subscription since: it was a change of plan. */
function applyPlanChange(state: CustomerState, subscription: SubscriptionState, fact: SubscriptionFact): CustomerState {
  const startedAt = subscription.startedAt ?? (fact.kind === "subscription_started" ? fact.occurredAt : null)
  if (startedAt === null || !isLive(subscription) || subscription.cancelAt !== null) return state
  const isSwitched = ({ kind, subscriptionId, status, closeReason, closedAt, openedAt }: CaseState): boolean => {
    if (kind !== "cancellation" || subscriptionId === subscription.id || startedAt < openedAt) return false
    const hasEnded = status === "lost" && closeReason === "subscription_ended" && closedAt !== null
    return status === "open" || (hasEnded && Date.parse(startedAt) - Date.parse(closedAt) <= SWITCH_WINDOW_MS)
  }
  return state.cases.filter(isSwitched).reduce(
    (result, candidate) =>
      withCase(result, {
        ...{ ...candidate, status: "recovered", closeReason: "switched" },
        closedAt: fact.occurredAt,
      }),
    state,
  )
}

/** The amount of one period by its prices or, where the provider does not state them, what was last paid. */
export function amountAtStake(
  state: CustomerState,
  subscription: SubscriptionState,
): { readonly amountMinor: number; readonly currency: string | null } {
  const amountMinor = recurringAmountMinor(subscription.items)
  if (amountMinor > 0) return { amountMinor, currency: subscription.currency }
  const isPaidForIt = (payment: PaymentState) =>
    payment.subscriptionId === subscription.id && payment.status === "succeeded"
  const [last] = entriesWhere(state.payments, isPaidForIt).sort((a, b) =>
    (a.paidAt ?? "") + a.invoiceId < (b.paidAt ?? "") + b.invoiceId ? 1 : -1,
  )
  return !last
    ? { amountMinor, currency: subscription.currency }
    : { amountMinor: last.amountMinor, currency: last.currency }
}

/** A sale that was never completed, or a customer whose payments the provider has given up. */
const NEVER_PAID_STATUSES: ReadonlySet<SubscriptionStatus> = new Set(["incomplete", "incomplete_expired", "unpaid"])

/** In its trial, or failing or paused right after it, for want of a payment method: it was never paid. */
const isUnpaidFirstSale = (subscription: SubscriptionState, at: Instant): boolean =>
  (subscription.status === "trialing" && !subscription.hasPaid) ||
  ((subscription.status === "past_due" || subscription.status === "paused") && isUnpaidTrial(subscription, at))

const openCancellation = (state: CustomerState, subscriptionId: string): CaseState | undefined =>
  state.cases.find(
    (candidate) =>
      candidate.kind === "cancellation" && candidate.status === "open" && candidate.subscriptionId === subscriptionId,
  )

const openRisk = (state: CustomerState, subscriptionId: string): CaseState | undefined =>
  state.cases.find(
    (candidate) =>
      candidate.kind === "at_risk" && candidate.status === "open" && candidate.subscriptionId === subscriptionId,
  )

/** Closes open payment and at-risk cases of the subscription. */
function closeOpenCasesAsLost(
  state: CustomerState,
  fact: SubscriptionFact,
  reason: "provider_gave_up" | "subscription_ended",
): CustomerState {
  return state.cases
    .filter(
      (candidate) => candidate.kind !== "cancellation" && candidate.subscriptionId === fact.subscription.subscriptionId,
    )
    .reduce((result, candidate) => withCase(result, close(candidate, "lost", reason, fact.occurredAt)), state)
}

/**
 * The amount of one period of the subscription: licensed prices times quantity, before discounts and tax; at most the
 * largest safe integer.
 */
export const recurringAmountMinor = (items: readonly SubscriptionItem[]): number =>
  items
    .filter((item) => item.usageType === "licensed")
    .reduce((sum, item) => Math.min(sum + (item.unitAmountMinor ?? 0) * item.quantity, Number.MAX_SAFE_INTEGER), 0)
