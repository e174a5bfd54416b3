/**
 * fold(facts) → state: pure and total. Facts come in ledger order, so the state does not depend on the order of arrival.
 */
import { comparePositions, type Fact, type FactKind, inLedgerOrder, type LedgerPosition, positionOf } from "../facts.ts"
import { type CustomerState, EMPTY_STATE, type Profile } from "../state.ts"
import { applyBounds, type DroppedCase, hasEnded } from "./fold/bounds.ts"
import { closeByOperator } from "./fold/cases.ts"
import { lapse } from "./fold/lapse.ts"
import { applyOutreach } from "./fold/outreach.ts"
import { changeInvoice, creditInvoice, recordPartPayment } from "./fold/payments/amounts.ts"
import { closeDispute, openDispute } from "./fold/payments/disputes.ts"
import { fail, requireAction } from "./fold/payments/failures.ts"
import { markUncollectible, markVoided, reissue, succeed } from "./fold/payments/payments.ts"
import { addPendingPayment, endPending } from "./fold/payments/pending.ts"
import { refund } from "./fold/payments/refunds.ts"
import { freeze, mutableCopy } from "./fold/records.ts"
import { closeRiskCase, detectRisk } from "./fold/risk.ts"
import { changeSubscription, endSubscription, keepAsKnown } from "./fold/subscriptions.ts"
import { recordUsage } from "./fold/usage.ts"

/**
 * The state after one more fact, within its bounds; cases that it drops are added to `dropped`. Facts come in ledger order:
 * occurred at, rank, id.
 */
export function apply(state: CustomerState, fact: Fact, dropped: DroppedCase[] = []): CustomerState {
  const next = step(state, fact)
  return isOutreach(fact.kind) ? next : { ...applyBounds(state, next, fact, dropped), position: positionOf(fact) }
}

function step(state: CustomerState, fact: Fact): CustomerState {
  switch (fact.kind) {
    case "customer_seen":
      return withProfile(state, {
        ...(fact.hasEmail !== undefined && { hasEmail: fact.hasEmail }),
        ...(fact.hasPhone !== undefined && { hasPhone: fact.hasPhone }),
        ...(fact.timeZone !== undefined && { timeZone: fact.timeZone }),
        ...(fact.locale !== undefined && { locale: fact.locale }),
        ...(fact.deleted !== undefined && { isDeleted: fact.deleted }),
      })
    case "payment_method_added":
      return withProfile(state, { cardAddedAt: fact.occurredAt })
    case "payment_method_updated_by_provider":
      return withProfile(state, { cardUpdatedByProviderAt: fact.occurredAt })
    case "subscription_started":
    case "subscription_changed":
    case "subscription_paused":
    case "subscription_resumed":
    case "cancellation_announced":
    case "trial_ending":
      return changeSubscription(state, fact)
    case "subscription_ended":
      return endSubscription(state, fact)
    case "subscription_not_found":
      return keepAsKnown(state, fact)
    case "payment_failed":
      return fail(state, fact)
    case "payment_action_required":
      return requireAction(state, fact)
    case "payment_succeeded":
      return succeed(state, fact)
    case "payment_refunded":
    case "refund_failed":
      return refund(state, fact)
    case "payment_pending":
      return addPendingPayment(state, fact)
    case "payment_canceled":
      return endPending(state, fact)
    case "invoice_changed":
      return changeInvoice(state, fact)
    case "invoice_credited":
      return creditInvoice(state, fact)
    case "invoice_part_paid":
      return recordPartPayment(state, fact)
    case "invoice_reissued":
      return reissue(state, fact)
    case "invoice_voided":
      return markVoided(state, fact)
    case "invoice_uncollectible":
      return markUncollectible(state, fact)
    case "dispute_opened":
      return openDispute(state, fact)
    case "dispute_closed":
      return closeDispute(state, fact)
    case "risk_detected":
      return detectRisk(state, fact)
    case "risk_passed":
      return closeRiskCase(state, fact)
    case "case_closed_by_operator":
      return closeByOperator(state, fact)
    case "case_lapsed":
      return lapse(state, fact)
    case "usage_recorded":
      return recordUsage(state, fact)
    case "ticket_opened":
    case "ticket_closed":
      // Only the features use them; they read the ledger.
      return state
    case "case_assigned":
    case "variant_assigned":
    case "nudge_planned":
    case "nudge_suppressed":
    case "nudge_failed":
    case "nudge_sent":
    case "link_clicked":
    case "opted_out":
    case "incentive_applied":
      return { ...state, outreach: applyOutreach(state.outreach, fact) }
    default:
      return fact satisfies never
  }
}

const withProfile = (state: CustomerState, change: Partial<Profile>): CustomerState => ({
  ...state,
  profile: { ...state.profile, ...change },
})

const OUTREACH = new Set<FactKind>([
  "case_assigned",
  "variant_assigned",
  "nudge_planned",
  "nudge_suppressed",
  "nudge_failed",
  "nudge_sent",
  "link_clicked",
  "opted_out",
  "incentive_applied",
])

/** True for facts that change only `outreach`: they commute with all others, so their position does not matter. */
export const isOutreach = (kind: FactKind): boolean => OUTREACH.has(kind)

/** Up to so many facts, each change of a record is a copy of it. */
const COPIED_FACTS_MAX = 3

/** The state after facts that are in ledger order; cases that it drops are added to `dropped`. */
export function fold(
  facts: readonly Fact[],
  from: CustomerState = EMPTY_STATE,
  dropped: DroppedCase[] = [],
): CustomerState {
  // Copying a long record costs more than a few changed copies of it.
  if (facts.length <= COPIED_FACTS_MAX) return facts.reduce((before, fact) => apply(before, fact, dropped), from)
  const working = {
    ...from,
    subscriptions: mutableCopy(from.subscriptions, hasEnded),
    payments: mutableCopy(from.payments),
  }
  const state = facts.reduce((before, fact) => apply(before, fact, dropped), working)
  return { ...state, subscriptions: freeze(state.subscriptions), payments: freeze(state.payments) }
}

/** The state of a whole ledger, in any order. */
export const rebuild = (ledger: readonly Fact[]): CustomerState => fold(inLedgerOrder(ledger))

/**
 * Ids of expected facts that were not read. Folding without them would mark their event as processed although the state
 * lacks them: the whole ledger must be read again.
 */
export function missingFacts(expected: readonly string[], facts: readonly Fact[]): string[] {
  if (expected.length === 0) return []
  const missing = new Set(expected)
  for (const { id } of facts) missing.delete(id)
  return [...missing]
}

/** True when a fact belongs before the snapshot's position, so that the ledger must be folded again. */
export const isBefore = (fact: Fact, position: LedgerPosition | null): boolean =>
  position !== null && !isOutreach(fact.kind) && comparePositions(positionOf(fact), position) <= 0
