/** Payments, and the `payment` case that a failed invoice opens. */
import type { BillDetails, Fact, Instant, Money, StatedMoney } from "../../facts.ts"
import {
  type CaseState,
  type CustomerState,
  type PaymentState,
  paymentOf,
  type SubscriptionState,
  subscriptionOf,
  type UnmatchedPayment,
} from "../../state.ts"
import { amountsOf, paidPartOf, withAmounts, withStatement } from "./amounts.ts"
import { BOUNDS } from "./bounds.ts"
import { close, isUnpaidTrial, isWaived, markLive, originOf, paymentCaseId, settlePaidCase, withCase } from "./cases.ts"
import {
  addAttempt,
  addInvoiceFailure,
  caseOf,
  invoiceOf,
  mergeRefs,
  PAIRING_WINDOW_MS,
  pairWithInvoice,
  refsOf,
  takeUnmatched,
  unmatchedPaymentOf,
  withPayment,
} from "./payment-matching.ts"
import { endPending } from "./pending.ts"
import { hasEntry, withEntry, withFew } from "./records.ts"
import { continueVoidedCase, moveCase, recordReissue, replacementOf } from "./reissue.ts"

type Failed = Extract<Fact, { kind: "payment_failed" }>
type Succeeded = Extract<Fact, { kind: "payment_succeeded" }>
type PaymentFact = Extract<Fact, { readonly invoiceId: string | null; readonly chargeId: string | null }>

/** A failed attempt: opens the invoice's case, or is gathered by it. A payment that was in progress has failed with it. */
export function fail(before: CustomerState, fact: Failed): CustomerState {
  return failOf(endPending(before, fact), fact)
}

function failOf(state: CustomerState, fact: Failed): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return pairWithInvoice(state, unmatchedPaymentOf(fact, "failed"))

  const before = paymentOf(state, invoiceId)
  if (before?.status === "succeeded" || before?.status === "voided") return state

  const paired = takeUnmatched(state, "failed", fact)
  const loose = paired.taken
  const payment: PaymentState = {
    ...detailed(stated(paymentFrom(before, fact, invoiceId), fact), fact),
    status: before?.status === "uncollectible" ? "uncollectible" : "failed",
    isFirstInvoice: (before?.isFirstInvoice ?? false) || fact.isFirstInvoice,
    refs: mergeRefs(before?.refs ?? [], refsOf(fact), loose?.refs ?? []),
    declineCode: fact.declineCode ?? loose?.declineCode ?? before?.declineCode ?? null,
    failedAt: before?.failedAt ?? fact.occurredAt,
    ...(fact.issuedAt !== undefined && { issuedAt: fact.issuedAt }),
    ...(fact.nextAttemptAt !== undefined && { nextAttemptAt: fact.nextAttemptAt }),
  }
  return addFailure(withPayment(paired.state, payment), payment, fact, { before, loose })
}

/** A payment that arrived, by whatever way: recovers the case, even one that was already counted as lost. */
export function succeed(before: CustomerState, fact: Succeeded): CustomerState {
  return succeedOf(endPending(before, fact), fact)
}

function succeedOf(state: CustomerState, fact: Succeeded): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return pairWithInvoice(state, unmatchedPaymentOf(fact, "succeeded"))

  const before = paymentOf(state, invoiceId)
  const isChargeLevel = fact.invoiceId === null
  if (isChargeLevel && before?.status !== "succeeded") {
    return before ? withPayment(state, { ...before, refs: mergeRefs(before.refs, refsOf(fact)) }) : state
  }
  const paired = takeUnmatched(state, "succeeded", fact)
  const payment: PaymentState = {
    ...detailed(paymentFrom(before, fact, invoiceId), fact),
    status: "succeeded",
    refs: mergeRefs(before?.refs ?? [], refsOf(fact), paired.taken?.refs ?? []),
    paidAt: before?.paidAt ?? fact.occurredAt,
    how: before?.how === "out_of_band" ? "out_of_band" : isChargeLevel ? (before?.how ?? fact.how) : fact.how,
  }
  const paid = markPaid(withPayment(paired.state, payment), payment)
  return recover(continueVoidedCase(paid, payment, fact.occurredAt), payment)
}

/** The member must authenticate (3-D Secure): not a decline, so it opens nothing, but it changes what we ask for. */
export function requireAction(
  state: CustomerState,
  fact: Extract<Fact, { kind: "payment_action_required" }>,
): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return state
  const before = paymentOf(state, invoiceId)
  if (before?.status === "succeeded") return state
  const payment: PaymentState = {
    ...paymentFrom(before, fact, invoiceId),
    refs: mergeRefs(before?.refs ?? [], refsOf(fact)),
    needsAuthentication: true,
  }
  const changed = withPayment(state, payment)
  const recoveryCase = caseOf(changed, invoiceId)
  if (!recoveryCase) return changed
  return withCase(changed, {
    ...{ ...recoveryCase, needsAuthentication: true },
    ...(recoveryCase.status === "open" && { heardAt: fact.occurredAt }),
  })
}

type Refund = Extract<Fact, { kind: "payment_refunded" | "refund_failed" }>

/** Money given back: the recovery is worth so much less. A refund that failed gave nothing back. */
export function refund(state: CustomerState, fact: Refund): CustomerState {
  const before = refundedPayment(state, fact)
  if (!before) return state
  const told = withRefund(before, fact)
  const totalMinor = told.refundTotalMinor ?? 0
  const entries = Object.values(told.refunds ?? {})
  const sum = (hasFailed: boolean) =>
    entries.filter((entry) => entry.hasFailed === hasFailed).reduce((all, { amountMinor }) => all + amountMinor, 0)
  const refundedMinor = Math.min(Math.max(0, totalMinor - sum(true), sum(false)), Number.MAX_SAFE_INTEGER)
  const payment = { ...told, refundedMinor }
  const changed = withPayment(state, payment)
  const recoveryCase = caseOf(changed, payment.invoiceId)
  const stands = recoveryCase?.closeReason === "paid" || recoveryCase?.closeReason === "refunded"
  return recoveryCase && stands ? withCase(changed, settlePaidCase(recoveryCase, payment, fact.occurredAt)) : changed
}

/** A charge tells the total of its refunds, a refund tells of itself; one that failed stays failed. */
function withRefund(payment: PaymentState, fact: Refund): PaymentState {
  const totalMinor = payment.refundTotalMinor ?? (payment.refunds === undefined ? payment.refundedMinor : 0)
  if (fact.kind === "payment_refunded") {
    const refundTotalMinor = Math.max(totalMinor, fact.amountMinor)
    if (fact.refundId === undefined) return { ...payment, refundTotalMinor }
    const known = Object.hasOwn(payment.refunds ?? {}, fact.refundId) ? payment.refunds?.[fact.refundId] : undefined
    const entry = { amountMinor: fact.refundMinor ?? fact.amountMinor, hasFailed: known?.hasFailed ?? false }
    return { ...payment, refundTotalMinor, refunds: withRefundEntry(payment, fact.refundId, entry) }
  }
  const failed = { amountMinor: fact.amountMinor, hasFailed: true }
  return { ...payment, refundTotalMinor: totalMinor, refunds: withRefundEntry(payment, fact.refundId, failed) }
}

type RefundEntry = NonNullable<PaymentState["refunds"]>[string]

const withRefundEntry = ({ refunds }: PaymentState, refundId: string, entry: RefundEntry) =>
  withFew(refunds, refundId, entry, BOUNDS.partsOfInvoice)

/** The payment that was refunded: by invoice, charge or intent, else the one recovered case of just that charge's amount. */
function refundedPayment(state: CustomerState, fact: Refund): PaymentState | undefined {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId !== null) return paymentOf(state, invoiceId)
  const chargeMinor = fact.kind === "payment_refunded" ? fact.chargeMinor : undefined
  const candidates = state.cases.flatMap((candidate) => {
    const payment = paymentOf(state, candidate.invoiceId)
    const isIt =
      candidate.kind === "payment" &&
      candidate.status === "recovered" &&
      payment?.amountMinor === chargeMinor &&
      payment?.currency === fact.currency &&
      payment?.refs.length === 0
    return isIt && payment ? [payment] : []
  })
  return candidates.length === 1 ? candidates[0] : undefined
}

/**
 * The invoice is no longer owed: its case cannot be recovered, unless another invoice takes its place. A change of plan
 * that is voided while the plan before goes on was not made, and nobody is lost by it.
 */
export function markVoided(before: CustomerState, fact: Extract<Fact, { kind: "invoice_voided" }>): CustomerState {
  const state = endPending(before, fact)
  const payment = paymentOf(state, fact.invoiceId)
  if (!payment || payment.status === "succeeded") return state
  const voided = withPayment(state, { ...payment, status: "voided", voidedAt: payment.voidedAt ?? fact.occurredAt })
  const recoveryCase = caseOf(voided, payment.invoiceId)
  if (recoveryCase?.status !== "open") return voided
  if (payment.billing === "change" && isServing(voided, payment.subscriptionId)) {
    return { ...voided, cases: voided.cases.filter(({ id }) => id !== recoveryCase.id) }
  }
  const next = replacementOf(voided, payment)
  if (next === null) return withCase(voided, close(recoveryCase, "lost", "voided", fact.occurredAt))
  const moved = moveCase(voided, payment.invoiceId, next, fact.occurredAt)
  const replacement = paymentOf(moved, next)
  return replacement?.status === "succeeded" ? recover(moved, replacement) : moved
}

/** An invoice took the place of another: the case of a voided one goes on with it, paid where it is paid already. */
export function reissue(state: CustomerState, fact: Extract<Fact, { kind: "invoice_reissued" }>): CustomerState {
  const moved = recordReissue(state, fact)
  const replacement = moved === state ? undefined : paymentOf(moved, fact.invoiceId)
  return replacement?.status === "succeeded" ? recover(moved, replacement) : moved
}

const isServing = (state: CustomerState, subscriptionId: string | null): boolean => {
  const subscription = subscriptionOf(state, subscriptionId)
  return subscription?.endedAt === null && (subscription.status === "active" || subscription.status === "trialing")
}

/** The provider wrote the invoice off; it may still be paid, and then counts as recovered. */
export function markUncollectible(
  state: CustomerState,
  fact: Extract<Fact, { kind: "invoice_uncollectible" }>,
): CustomerState {
  const before = paymentOf(state, fact.invoiceId)
  if (!before || before.status === "succeeded" || before.status === "voided") return state
  const changed = withPayment(state, { ...before, status: "uncollectible" })
  const recoveryCase = caseOf(changed, before.invoiceId)
  return recoveryCase ? withCase(changed, close(recoveryCase, "lost", "uncollectible", fact.occurredAt)) : changed
}

function addFailure(
  before: CustomerState,
  payment: PaymentState,
  fact: Failed,
  known: { readonly before: PaymentState | undefined; readonly loose: UnmatchedPayment | undefined },
): CustomerState {
  const { loose } = known
  // A charge tells of an attempt, not of what the invoice is for: only the invoice's own failure opens a case.
  const isChargeLevel = fact.attempt === null && (fact.chargeId ?? fact.paymentIntentId) !== null
  const state = isChargeLevel ? before : continueVoidedCase(before, payment, fact.occurredAt)
  const present = caseOf(state, payment.invoiceId)
  const hasEnded = (subscriptionOf(state, payment.subscriptionId)?.endedAt ?? null) !== null
  // Where nothing is owed there is nothing to recover.
  const isOfNothing = payment.currency !== null && amountsOf(payment, {}).remainingMinor === 0
  const isBeyondSaving =
    hasEnded || isOfNothing || payment.status === "uncollectible" || isUnpaidFirstSale(state, payment)
  if (!present && (isChargeLevel || isBeyondSaving)) return state

  // An attempt that a charge told of before the invoice did counts from the start.
  const charges = present?.chargeFailures ?? (known.before?.failedAt ? known.before.refs.slice(0, 1) : [])
  // The intent alone adds no attempt to those whose charges are known.
  const ownRefs = !isChargeLevel || (fact.chargeId === null && charges.length > 0) ? [] : refsOf(fact)
  const attempts = {
    declineCode: payment.declineCode,
    chargeFailures: addAttempt(addAttempt(charges, ownRefs), loose?.refs ?? []),
  }
  if (present && present.status !== "open") {
    // The attempt after which the provider gave up may be told after that.
    const isLastAttempt = present.status === "lost" && isWithinLastAttemptWindow(present.closedAt, fact.occurredAt)
    const { invoiceFailures: told } = present
    const invoiceFailures = isChargeLevel ? told : addInvoiceFailure(told, fact)
    return isLastAttempt ? withCase(state, { ...present, ...attempts, invoiceFailures }) : state
  }
  const heard = present ? markLive(present, fact) : { ...newPaymentCase(payment, fact.occurredAt), ...originOf(fact) }
  const gathered: CaseState = {
    // The charge that was waiting for its invoice may have been told live.
    ...(loose ? markLive(heard, loose) : heard),
    ...attempts,
    subscriptionId: payment.subscriptionId,
    needsAuthentication: payment.needsAuthentication,
    invoiceFailures: isChargeLevel
      ? (present?.invoiceFailures ?? [])
      : addInvoiceFailure(present?.invoiceFailures ?? [], fact),
  }
  const told = isChargeLevel || !isStated(fact) ? gathered : withAmounts(gathered, payment)
  return withCase(state, hasEnded ? close(told, "lost", "subscription_ended", fact.occurredAt) : told)
}

const isWithinLastAttemptWindow = (earlier: Instant | null, later: Instant): boolean =>
  earlier !== null && Date.parse(later) - Date.parse(earlier) <= PAIRING_WINDOW_MS

/**
 * The invoice that starts a subscription, or the first one after its trial or its free plan, never paid: a sale not made,
 * no churn. It is the invoice that counts, however long it is retried.
 */
function isUnpaidFirstSale(state: CustomerState, payment: PaymentState): boolean {
  if (payment.isFirstInvoice) return true
  const subscription = subscriptionOf(state, payment.subscriptionId)
  if (subscription === undefined || payment.failedAt === null) return false
  return isUnpaidTrial(subscription, payment.failedAt) || (!subscription.hasPaid && wasFree(state, subscription))
}

/** By its prices, or by a bill of nothing that was settled. */
const wasFree = (state: CustomerState, { id, wasFree: isFreePlan, trialEnd }: SubscriptionState): boolean =>
  isFreePlan === true ||
  (trialEnd === null &&
    hasEntry(
      state.payments,
      (payment) => payment.subscriptionId === id && payment.status === "succeeded" && isFree(payment),
    ))

const newPaymentCase = (payment: PaymentState, openedAt: Instant): CaseState => ({
  id: paymentCaseId(payment.invoiceId),
  kind: "payment",
  status: "open",
  subscriptionId: payment.subscriptionId,
  invoiceId: payment.invoiceId,
  amountMinor: payment.amountMinor,
  currency: payment.currency,
  ...(paidPartOf(payment) > 0 && { paidBeforeMinor: paidPartOf(payment) }),
  ...(payment.billing === "one_off" && { billing: payment.billing }),
  ...(payment.collection !== undefined && { collection: payment.collection }),
  declineCode: payment.declineCode,
  needsAuthentication: payment.needsAuthentication,
  invoiceFailures: [],
  chargeFailures: [],
  openedAt,
  closedAt: null,
  closeReason: null,
  recoveredMinor: 0,
  newCard: null,
  disputeId: null,
})

function recover(state: CustomerState, payment: PaymentState): CustomerState {
  const recoveryCase = caseOf(state, payment.invoiceId)
  const isFinal = recoveryCase?.closeReason === "closed_by_operator" || recoveryCase?.closeReason === "voided"
  if (!recoveryCase || payment.paidAt === null || isFinal) return state
  if (recoveryCase.status === "reversed") return state
  const isPaid = recoveryCase.status === "recovered" || payment.how === "out_of_band"
  if (!isPaid && isWaived(recoveryCase, payment))
    return withCase(state, close(recoveryCase, "lost", "waived", payment.paidAt))
  const newCard =
    recoveryCase.status === "recovered" ? recoveryCase.newCard : newCardSince(recoveryCase.openedAt, state)
  return withCase(state, settlePaidCase({ ...recoveryCase, newCard }, payment, payment.paidAt))
}

/** Kept with the case when it is paid: the profile knows only the newest card, and more will come. */
function newCardSince(openedAt: Instant, { profile }: CustomerState): CaseState["newCard"] {
  if (profile.cardUpdatedByProviderAt !== null && profile.cardUpdatedByProviderAt >= openedAt) return "by_provider"
  return profile.cardAddedAt !== null && profile.cardAddedAt >= openedAt ? "by_member" : null
}

function markPaid(state: CustomerState, payment: PaymentState): CustomerState {
  const subscription = subscriptionOf(state, payment.subscriptionId)
  if (!subscription || subscription.hasPaid || isFree(payment)) return state
  return {
    ...state,
    subscriptions: withEntry(state.subscriptions, subscription.id, { ...subscription, hasPaid: true }),
  }
}

/** With what the invoice's own failure says of the invoice. */
function stated(payment: PaymentState, fact: Failed): PaymentState {
  const isOfInvoice =
    fact.invoiceId !== null && (fact.attempt !== null || (fact.chargeId ?? fact.paymentIntentId) === null)
  return isOfInvoice ? withStatement(payment, fact) : payment
}

const detailed = (payment: PaymentState, { billing, collection, period }: BillDetails): PaymentState => ({
  ...payment,
  ...(billing !== undefined && { billing }),
  ...(collection !== undefined && { collection }),
  ...(period !== undefined && { period }),
})

/** The event says how much it is about. */
const isStated = <T extends StatedMoney>(fact: T): fact is T & Money =>
  fact.amountMinor !== null && fact.currency !== null

/** Nothing was to be paid. An amount that is not known is not nothing. */
const isFree = ({ amountMinor, currency }: PaymentState): boolean => currency !== null && amountMinor === 0

/**
 * What all facts of one invoice agree on; a charge-level fact never overrides the invoice's own amount, and an event that
 * states none leaves what an earlier one stated.
 */
function paymentFrom(
  before: PaymentState | undefined,
  fact: PaymentFact & StatedMoney,
  invoiceId: string,
): PaymentState {
  const { amountMinor, currency } = before ?? { amountMinor: 0, currency: null }
  const speaksForInvoice = fact.invoiceId !== null || currency === null
  const money: Pick<PaymentState, "amountMinor" | "currency"> =
    speaksForInvoice && isStated(fact) ? fact : { amountMinor, currency }
  return {
    ...before,
    invoiceId,
    subscriptionId: fact.subscriptionId ?? before?.subscriptionId ?? null,
    status: before?.status ?? "failed",
    amountMinor: money.amountMinor,
    currency: money.currency,
    refs: before?.refs ?? [],
    isFirstInvoice: before?.isFirstInvoice ?? false,
    needsAuthentication: before?.needsAuthentication ?? false,
    declineCode: before?.declineCode ?? null,
    failedAt: before?.failedAt ?? null,
    paidAt: before?.paidAt ?? null,
    how: before?.how ?? null,
    refundedMinor: before?.refundedMinor ?? 0,
  }
}
