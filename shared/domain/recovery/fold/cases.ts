/** Opening and closing recovery cases. A case is identified by its invoice or subscription, never by time. */
import type { Fact, Instant } from "../../facts.ts"
import type { CaseState, CaseStatus, CloseReason, CustomerState, PaymentState, SubscriptionState } from "../../state.ts"

/** The first invoice after a trial fails, if it does, within this time of the trial's end; a later failure is of another invoice. */
const FIRST_INVOICE_WINDOW_MS = 14 * 86_400_000

/** The payment case of an invoice: an invoice has at most one, ever. */
export const paymentCaseId = (invoiceId: string): string => `payment_${invoiceId}`

/** The case of the n-th announced cancellation of a subscription, from one. */
export const cancellationCaseId = (subscriptionId: string, episode: number): string =>
  `cancellation_${subscriptionId}_${episode}`

/** The state with the case replaced, or added if no case has its id. */
export function withCase(state: CustomerState, changed: CaseState): CustomerState {
  const place = state.cases.findIndex((present) => present.id === changed.id)
  return { ...state, cases: place < 0 ? [...state.cases, changed] : state.cases.with(place, changed) }
}

/** The case, closed; a case that is already closed stays as it is. */
export function close(
  recoveryCase: CaseState,
  status: Exclude<CaseStatus, "open">,
  closeReason: CloseReason,
  closedAt: Instant,
): CaseState {
  return recoveryCase.status === "open" ? { ...recoveryCase, status, closeReason, closedAt } : recoveryCase
}

/**
 * The case after another failure or announcement. A live one makes the case live permanently, at any position in the
 * ledger; imported facts before or after it do not change that.
 */
export function markLive(recoveryCase: CaseState, { origin }: Pick<Fact, "origin">): CaseState {
  if (origin !== undefined || recoveryCase.knownFrom === undefined) return recoveryCase
  const { knownFrom: _, ...live } = recoveryCase
  return live
}

/** The origin of a new case. */
export const originOf = ({ origin }: Pick<Fact, "origin">): Pick<CaseState, "knownFrom"> =>
  origin === undefined ? {} : { knownFrom: origin }

/**
 * What a payment recovered: what was paid since the case opened, at most the amount of the case. The invoice states the
 * total paid, part of which may have been paid before. Where no failure stated an amount, everything paid counts.
 */
function recoveredAmountOf(recoveryCase: CaseState, { amountMinor: paidMinor }: PaymentState): number {
  const paidSinceMinor = Math.max(0, paidMinor - (recoveryCase.paidBeforeMinor ?? 0))
  return recoveryCase.currency === null ? paidSinceMinor : Math.min(paidSinceMinor, recoveryCase.amountMinor)
}

/**
 * The case of a paid invoice: recovered by what was paid and neither refunded nor disputed. Where nothing is left, the
 * recovery is reversed. A one-off invoice is not subscription revenue, so it recovers zero. `at` is the time of the payment,
 * refund or dispute.
 */
export function settlePaidCase(recoveryCase: CaseState, payment: PaymentState, at: Instant): CaseState {
  const disputedMinor = Object.values(payment.disputes ?? {}).reduce((sum, amount) => sum + amount, 0)
  const keptMinor = Math.max(0, recoveredAmountOf(recoveryCase, payment) - payment.refundedMinor - disputedMinor)
  const { remainingMinor: _, ...rest } = recoveryCase
  const { amountMinor, currency } = recoveryCase.currency === null ? payment : recoveryCase
  const paid = { ...rest, amountMinor, currency }
  if (keptMinor === 0 && payment.refundedMinor + disputedMinor > 0) {
    const closeReason = disputedMinor > 0 ? "dispute" : "refunded"
    const isKnown = recoveryCase.closeReason === closeReason && recoveryCase.closedAt !== null
    const closedAt = isKnown ? recoveryCase.closedAt : at
    return { ...paid, status: "reversed", closeReason, closedAt, recoveredMinor: 0 }
  }
  return {
    ...paid,
    status: "recovered",
    closeReason: "paid",
    closedAt: payment.paidAt ?? at,
    recoveredMinor: recoveryCase.billing === "one_off" ? 0 : keptMinor,
  }
}

/** Whether nothing was paid since the case opened, although the invoice counts as paid: credit notes or a balance settled it. */
export const isWaived = (recoveryCase: CaseState, payment: PaymentState): boolean =>
  payment.currency !== null && payment.amountMinor - (recoveryCase.paidBeforeMinor ?? 0) <= 0

/** An operator's decision is final: a later payment does not recover a case that an operator closed. */
export function closeByOperator(
  state: CustomerState,
  fact: Extract<Fact, { kind: "case_closed_by_operator" }>,
): CustomerState {
  const recoveryCase = state.cases.find((candidate) => candidate.id === fact.caseId)
  return recoveryCase ? withCase(state, close(recoveryCase, "lost", "closed_by_operator", fact.occurredAt)) : state
}

/** Whether the subscription is in its trial or directly after it, and was never paid. */
export const isUnpaidTrial = ({ hasPaid, trialEnd }: SubscriptionState, at: Instant): boolean =>
  !hasPaid && trialEnd !== null && Date.parse(at) - Date.parse(trialEnd) <= FIRST_INVOICE_WINDOW_MS
