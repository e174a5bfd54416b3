/** Payments, and the `payment` case that a failed invoice opens. */
import type { Fact, Instant } from "../facts.ts"
import {
  type CaseState,
  type CustomerState,
  type LoosePayment,
  type PaymentState,
  paymentOf,
  subscriptionOf,
} from "../state.ts"
import { close, hear, isUnpaidTrial, knownFrom, paymentCaseId, recoveredBy, withCase } from "./cases.ts"
import {
  addAttempt,
  addInvoiceFailure,
  caseOf,
  invoiceOf,
  looseOf,
  mergeRefs,
  PAIRING_WINDOW_MS,
  pairWithInvoice,
  refsOf,
  takeLoose,
  withPayment,
} from "./pairing.ts"

type Failed = Extract<Fact, { kind: "payment_failed" }>
type Succeeded = Extract<Fact, { kind: "payment_succeeded" }>
type PaymentFact = Extract<Fact, { readonly invoiceId: string | null; readonly chargeId: string | null }>

/** A failed attempt: opens the invoice's case, or is gathered by it. */
export function fail(state: CustomerState, fact: Failed): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return pairWithInvoice(state, looseOf(fact, "failed"))

  const before = paymentOf(state, invoiceId)
  if (before?.status === "succeeded" || before?.status === "voided") return state

  const paired = takeLoose(state, "failed", fact)
  const loose = paired.taken
  const payment: PaymentState = {
    ...paymentFrom(before, fact, invoiceId),
    status: before?.status === "uncollectible" ? "uncollectible" : "failed",
    isFirstInvoice: (before?.isFirstInvoice ?? false) || fact.isFirstInvoice,
    refs: mergeRefs(before?.refs ?? [], refsOf(fact), loose?.refs ?? []),
    declineCode: fact.declineCode ?? loose?.declineCode ?? before?.declineCode ?? null,
    failedAt: before?.failedAt ?? fact.occurredAt,
    ...(fact.issuedAt !== undefined && { issuedAt: fact.issuedAt }),
    ...(fact.nextAttemptAt !== undefined && { nextAttemptAt: fact.nextAttemptAt }),
  }
  return gatherFailure(withPayment(paired.state, payment), payment, fact, { before, loose })
}

/** A payment that arrived, by whatever way: recovers the case, even one that was already counted as lost. */
export function succeed(state: CustomerState, fact: Succeeded): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return pairWithInvoice(state, looseOf(fact, "succeeded"))

  const before = paymentOf(state, invoiceId)
  const isChargeLevel = fact.invoiceId === null
  if (isChargeLevel && before?.status !== "succeeded") {
    return before ? withPayment(state, { ...before, refs: mergeRefs(before.refs, refsOf(fact)) }) : state
  }
  const paired = takeLoose(state, "succeeded", fact)
  const payment: PaymentState = {
    ...paymentFrom(before, fact, invoiceId),
    status: "succeeded",
    refs: mergeRefs(before?.refs ?? [], refsOf(fact), paired.taken?.refs ?? []),
    paidAt: before?.paidAt ?? fact.occurredAt,
    how: before?.how === "out_of_band" ? "out_of_band" : isChargeLevel ? (before?.how ?? fact.how) : fact.how,
  }
  const paid = markPaid(withPayment(paired.state, payment), payment)
  return recover(paid, payment)
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
  return recoveryCase ? withCase(changed, { ...recoveryCase, needsAuthentication: true }) : changed
}

/** Money given back. It is kept with the payment; whether a recovery stands is a matter for disputes only. */
export function refund(state: CustomerState, fact: Extract<Fact, { kind: "payment_refunded" }>): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  const before = paymentOf(state, invoiceId)
  if (!before) return state
  return withPayment(state, { ...before, refundedMinor: Math.max(before.refundedMinor, fact.amountMinor) })
}

/** The invoice is no longer owed: its case cannot be recovered. */
export function markVoided(state: CustomerState, fact: Extract<Fact, { kind: "invoice_voided" }>): CustomerState {
  return writeOff(state, fact.invoiceId, "voided", fact.occurredAt)
}

/** The provider wrote the invoice off; it may still be paid, and then counts as recovered. */
export function markUncollectible(
  state: CustomerState,
  fact: Extract<Fact, { kind: "invoice_uncollectible" }>,
): CustomerState {
  return writeOff(state, fact.invoiceId, "uncollectible", fact.occurredAt)
}

function writeOff(
  state: CustomerState,
  invoiceId: string | null,
  status: "voided" | "uncollectible",
  at: Instant,
): CustomerState {
  const before = paymentOf(state, invoiceId)
  if (!before || before.status === "succeeded") return state
  const changed = withPayment(state, { ...before, status })
  const recoveryCase = caseOf(changed, before.invoiceId)
  return recoveryCase ? withCase(changed, close(recoveryCase, "lost", status, at)) : changed
}

function gatherFailure(
  state: CustomerState,
  payment: PaymentState,
  fact: Failed,
  { before, loose }: { readonly before: PaymentState | undefined; readonly loose: LoosePayment | undefined },
): CustomerState {
  // A charge tells of an attempt, not of what the invoice is for: only the invoice's own failure opens a case.
  const isChargeLevel = fact.attempt === null && (fact.chargeId ?? fact.paymentIntentId) !== null
  const present = caseOf(state, payment.invoiceId)
  const hasEnded = (subscriptionOf(state, payment.subscriptionId)?.endedAt ?? null) !== null
  const isBeyondSaving = hasEnded || payment.status === "uncollectible" || isSaleNeverMade(state, payment)
  if (!present && (isChargeLevel || isBeyondSaving)) return state

  // An attempt that a charge told of before the invoice did counts from the start.
  const known = present?.chargeFailures ?? (before?.failedAt ? before.refs.slice(0, 1) : [])
  // The intent alone adds no attempt to those whose charges are known.
  const ownRefs = !isChargeLevel || (fact.chargeId === null && known.length > 0) ? [] : refsOf(fact)
  const attempts = {
    declineCode: payment.declineCode,
    chargeFailures: addAttempt(addAttempt(known, ownRefs), loose?.refs ?? []),
  }
  if (present && present.status !== "open") {
    const isLastAttempt = isChargeLevel && present.status === "lost" && isSoonAfter(present.closedAt, fact.occurredAt)
    return isLastAttempt ? withCase(state, { ...present, ...attempts }) : state
  }
  const heard = present ? hear(present, fact) : { ...newPaymentCase(payment, fact.occurredAt), ...knownFrom(fact) }
  const gathered: CaseState = {
    // The charge that was waiting for its invoice may have been told live.
    ...(loose ? hear(heard, loose) : heard),
    ...attempts,
    subscriptionId: payment.subscriptionId,
    needsAuthentication: payment.needsAuthentication,
    invoiceFailures: isChargeLevel
      ? (present?.invoiceFailures ?? [])
      : addInvoiceFailure(present?.invoiceFailures ?? [], fact),
    ...(!isChargeLevel && { amountMinor: fact.amountMinor, currency: fact.currency }),
  }
  if (hasEnded) return withCase(state, close(gathered, "lost", "subscription_ended", fact.occurredAt))
  return withCase(state, hasGivenUp(fact) ? close(gathered, "lost", "provider_gave_up", fact.occurredAt) : gathered)
}

const isSoonAfter = (earlier: Instant | null, later: Instant): boolean =>
  earlier !== null && Date.parse(later) - Date.parse(earlier) <= PAIRING_WINDOW_MS

/**
 * No further attempt after at least two: the provider gave up. Nothing planned after the very first failure only says
 * that retries are switched off: the bill stays open and the member can still pay it.
 */
const hasGivenUp = (fact: Failed): boolean => fact.nextAttemptAt === null && fact.attempt !== null && fact.attempt >= 2

/**
 * The invoice that starts a subscription, or the first one after its trial, never paid: a sale not made, no churn. It
 * is the invoice that counts, however long it is retried.
 */
function isSaleNeverMade(state: CustomerState, payment: PaymentState): boolean {
  if (payment.isFirstInvoice) return true
  const subscription = subscriptionOf(state, payment.subscriptionId)
  return subscription !== undefined && payment.failedAt !== null && isUnpaidTrial(subscription, payment.failedAt)
}

const newPaymentCase = (payment: PaymentState, openedAt: Instant): CaseState => ({
  id: paymentCaseId(payment.invoiceId),
  kind: "payment",
  status: "open",
  subscriptionId: payment.subscriptionId,
  invoiceId: payment.invoiceId,
  amountMinor: payment.amountMinor,
  currency: payment.currency,
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
  const newCard =
    recoveryCase.status === "recovered" ? recoveryCase.newCard : newCardSince(recoveryCase.openedAt, state)
  return withCase(state, {
    ...recoveryCase,
    status: "recovered",
    closeReason: "paid",
    closedAt: payment.paidAt,
    recoveredMinor: recoveredBy(recoveryCase, payment.amountMinor),
    newCard,
  })
}

/** Kept with the case when it is paid: the profile knows only the newest card, and more will come. */
function newCardSince(openedAt: Instant, { profile }: CustomerState): CaseState["newCard"] {
  if (profile.cardUpdatedByProviderAt !== null && profile.cardUpdatedByProviderAt >= openedAt) return "by_provider"
  return profile.cardAddedAt !== null && profile.cardAddedAt >= openedAt ? "by_member" : null
}

function markPaid(state: CustomerState, payment: PaymentState): CustomerState {
  const subscription = subscriptionOf(state, payment.subscriptionId)
  if (!subscription || subscription.hasPaid || payment.amountMinor === 0) return state
  return {
    ...state,
    subscriptions: { ...state.subscriptions, [subscription.id]: { ...subscription, hasPaid: true } },
  }
}

/** What all facts of one invoice agree on; a charge-level fact never overrides the invoice's own amount. */
function paymentFrom(
  before: PaymentState | undefined,
  fact: PaymentFact & { amountMinor: number; currency: string },
  invoiceId: string,
): PaymentState {
  const speaksForInvoice = fact.invoiceId !== null || before === undefined
  return {
    ...(before?.issuedAt !== undefined && { issuedAt: before.issuedAt }),
    ...(before?.nextAttemptAt !== undefined && { nextAttemptAt: before.nextAttemptAt }),
    invoiceId,
    subscriptionId: fact.subscriptionId ?? before?.subscriptionId ?? null,
    status: before?.status ?? "failed",
    amountMinor: speaksForInvoice ? fact.amountMinor : before.amountMinor,
    currency: speaksForInvoice ? fact.currency : before.currency,
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
