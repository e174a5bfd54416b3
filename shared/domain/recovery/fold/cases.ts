/** Opening and closing recovery cases. A case is found by what it is about, never by when it was told. */
import type { Fact, Instant } from "../../facts.ts"
import type { CaseState, CaseStatus, CloseReason, CustomerState, PaymentState, SubscriptionState } from "../../state.ts"

/** The first invoice after a trial fails within so long of its end, if it fails; a later one is another invoice. */
const FIRST_INVOICE_WINDOW_MS = 14 * 86_400_000

/** The payment case of an invoice: an invoice has one at most, for good. */
export const paymentCaseId = (invoiceId: string): string => `payment_${invoiceId}`

/** The n-th time that leaving was announced for a subscription, counted from one. */
export const cancellationCaseId = (subscriptionId: string, episode: number): string =>
  `cancellation_${subscriptionId}_${episode}`

/** State with the case put in the place of the one with its id, or added. */
export function withCase(state: CustomerState, changed: CaseState): CustomerState {
  const place = state.cases.findIndex((present) => present.id === changed.id)
  return { ...state, cases: place < 0 ? [...state.cases, changed] : state.cases.with(place, changed) }
}

/** The case, closed; a case that is closed already keeps its first end. */
export function close(
  recoveryCase: CaseState,
  status: Exclude<CaseStatus, "open">,
  closeReason: CloseReason,
  closedAt: Instant,
): CaseState {
  return recoveryCase.status === "open" ? { ...recoveryCase, status, closeReason, closedAt } : recoveryCase
}

/**
 * The case after more bad news of it. Live news makes it a live case for good, wherever in its story the news falls; what
 * is imported around a live case changes nothing about that.
 */
export function markLive(recoveryCase: CaseState, { origin }: Pick<Fact, "origin">): CaseState {
  if (origin !== undefined || recoveryCase.knownFrom === undefined) return recoveryCase
  const { knownFrom: _, ...live } = recoveryCase
  return live
}

/** What a new case says of where it is known from. */
export const originOf = ({ origin }: Pick<Fact, "origin">): Pick<CaseState, "knownFrom"> =>
  origin === undefined ? {} : { knownFrom: origin }

/**
 * What a payment brought back: what was paid since the case opened, at most what was at stake in it. The invoice says what
 * was paid in all, and may have been paid in part before. Where no failure stated an amount, what was paid was at stake.
 */
function recoveredAmountOf(recoveryCase: CaseState, { amountMinor: paidMinor }: PaymentState): number {
  const sinceMinor = Math.max(0, paidMinor - (recoveryCase.paidBeforeMinor ?? 0))
  return recoveryCase.currency === null ? sinceMinor : Math.min(sinceMinor, recoveryCase.amountMinor)
}

/**
 * The case of a paid invoice as it stands: recovered by what was paid and not refunded since. Refunded as a whole, the
 * recovery is reversed. A one-off invoice is no subscription revenue, so nothing of it counts. `at` is when this became so.
 */
export function settlePaidCase(recoveryCase: CaseState, payment: PaymentState, at: Instant): CaseState {
  const broughtBackMinor = recoveredAmountOf(recoveryCase, payment)
  const keptMinor = Math.max(0, broughtBackMinor - payment.refundedMinor)
  const { remainingMinor: _, ...rest } = recoveryCase
  const { amountMinor, currency } = recoveryCase.currency === null ? payment : recoveryCase
  const paid = { ...rest, amountMinor, currency }
  if (payment.refundedMinor > 0 && keptMinor === 0) {
    const isSo = recoveryCase.closeReason === "refunded" && recoveryCase.closedAt !== null
    const closedAt = isSo ? recoveryCase.closedAt : at
    return { ...paid, status: "reversed", closeReason: "refunded", closedAt, recoveredMinor: 0 }
  }
  return {
    ...paid,
    status: "recovered",
    closeReason: "paid",
    closedAt: payment.paidAt ?? at,
    recoveredMinor: recoveryCase.billing === "one_off" ? 0 : keptMinor,
  }
}

/** Nothing was paid since the case opened, though the invoice counts as paid: credit notes or a balance settled it. */
export const isWaived = (recoveryCase: CaseState, payment: PaymentState): boolean =>
  payment.currency !== null && payment.amountMinor - (recoveryCase.paidBeforeMinor ?? 0) <= 0

/** An operator's word is final: a payment that comes later is not credited to a case that was put aside. */
export function closeByOperator(
  state: CustomerState,
  fact: Extract<Fact, { kind: "case_closed_by_operator" }>,
): CustomerState {
  const recoveryCase = state.cases.find((candidate) => candidate.id === fact.caseId)
  return recoveryCase ? withCase(state, close(recoveryCase, "lost", "closed_by_operator", fact.occurredAt)) : state
}

/** Whether the subscription is in its trial or in what directly follows, and nobody has ever paid for it. */
export const isUnpaidTrial = ({ hasPaid, trialEnd }: SubscriptionState, at: Instant): boolean =>
  !hasPaid && trialEnd !== null && Date.parse(at) - Date.parse(trialEnd) <= FIRST_INVOICE_WINDOW_MS
