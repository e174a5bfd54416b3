/** Failed payments, and the `payment` case that a failed invoice opens. */
import type { Fact, Instant } from "../../../facts.ts"
import {
  type CaseState,
  type CustomerState,
  type PaymentState,
  paymentOf,
  type SubscriptionState,
  subscriptionOf,
  type UnmatchedPayment,
} from "../../../state.ts"
import { close, isUnpaidTrial, markLive, originOf, paymentCaseId, withCase } from "../cases.ts"
import { hasEntry } from "../records.ts"
import { amountsOf, paidPartOf, withAmounts, withStatement } from "./amounts.ts"
import {
  addAttempt,
  addInvoiceFailure,
  caseOf,
  invoiceOf,
  matchWithInvoice,
  mergeRefs,
  PAIRING_WINDOW_MS,
  refsOf,
  takeUnmatched,
  unmatchedPaymentOf,
  withPayment,
} from "./payment-matching.ts"
import { hasAmount, isFree, paymentFrom, withDetails } from "./payment-record.ts"
import { endPending } from "./pending.ts"
import { continueVoidedCase } from "./reissue.ts"

type Failed = Extract<Fact, { kind: "payment_failed" }>

/** A failed attempt: opens the invoice's case, or is added to it. It ends a payment in progress. */
export function fail(before: CustomerState, fact: Failed): CustomerState {
  const state = endPending(before, fact)
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return matchWithInvoice(state, unmatchedPaymentOf(fact, "failed"))

  const known = paymentOf(state, invoiceId)
  if (known?.status === "succeeded" || known?.status === "voided") return state

  const matched = takeUnmatched(state, "failed", fact)
  const charge = matched.taken
  const payment: PaymentState = {
    ...withDetails(withInvoiceStatement(paymentFrom(known, fact, invoiceId), fact), fact),
    status: known?.status === "uncollectible" ? "uncollectible" : "failed",
    isFirstInvoice: (known?.isFirstInvoice ?? false) || fact.isFirstInvoice,
    refs: mergeRefs(known?.refs ?? [], refsOf(fact), charge?.refs ?? []),
    declineCode: fact.declineCode ?? charge?.declineCode ?? known?.declineCode ?? null,
    failedAt: known?.failedAt ?? fact.occurredAt,
    ...(fact.issuedAt !== undefined && { issuedAt: fact.issuedAt }),
    ...(fact.nextAttemptAt !== undefined && { nextAttemptAt: fact.nextAttemptAt }),
  }
  return addFailure(withPayment(matched.state, payment), payment, fact, { known, charge })
}

/** The member must authenticate (3-D Secure): not a decline, so it opens no case, but it changes what we ask for. */
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

/** `known`: the payment before the fact. `charge`: an unmatched charge that belongs to the same attempt. */
function addFailure(
  before: CustomerState,
  payment: PaymentState,
  fact: Failed,
  { known, charge }: { readonly known: PaymentState | undefined; readonly charge: UnmatchedPayment | undefined },
): CustomerState {
  // A charge reports an attempt, not what the invoice is for: only the invoice's own failure opens a case.
  const isChargeLevel = fact.attempt === null && (fact.chargeId ?? fact.paymentIntentId) !== null
  const state = isChargeLevel ? before : continueVoidedCase(before, payment, fact.occurredAt)
  const present = caseOf(state, payment.invoiceId)
  const hasEnded = (subscriptionOf(state, payment.subscriptionId)?.endedAt ?? null) !== null
  const isNothingOwed = payment.currency !== null && amountsOf(payment, {}).remainingMinor === 0
  const isUnrecoverable =
    hasEnded || isNothingOwed || payment.status === "uncollectible" || isUnpaidFirstSale(state, payment)
  if (!present && (isChargeLevel || isUnrecoverable)) return state

  // An attempt that a charge reported before the invoice counts from the start.
  const charges = present?.chargeFailures ?? (known?.failedAt ? known.refs.slice(0, 1) : [])
  // A payment intent alone adds no attempt to those with known charges.
  const ownRefs = !isChargeLevel || (fact.chargeId === null && charges.length > 0) ? [] : refsOf(fact)
  const attempts = {
    declineCode: payment.declineCode,
    chargeFailures: addAttempt(addAttempt(charges, ownRefs), charge?.refs ?? []),
  }
  if (present && present.status !== "open") {
    // The last attempt, after which the provider gave up, may be reported after that.
    const isLastAttempt = present.status === "lost" && isWithinLastAttemptWindow(present.closedAt, fact.occurredAt)
    const { invoiceFailures: failures } = present
    const invoiceFailures = isChargeLevel ? failures : addInvoiceFailure(failures, fact)
    return isLastAttempt ? withCase(state, { ...present, ...attempts, invoiceFailures }) : state
  }
  const marked = present ? markLive(present, fact) : { ...newPaymentCase(payment, fact.occurredAt), ...originOf(fact) }
  const failed: CaseState = {
    // The unmatched charge may have been reported live.
    ...(charge ? markLive(marked, charge) : marked),
    ...attempts,
    subscriptionId: payment.subscriptionId,
    needsAuthentication: payment.needsAuthentication,
    invoiceFailures: isChargeLevel
      ? (present?.invoiceFailures ?? [])
      : addInvoiceFailure(present?.invoiceFailures ?? [], fact),
  }
  const next = isChargeLevel || !hasAmount(fact) ? failed : withAmounts(failed, payment)
  return withCase(state, hasEnded ? close(next, "lost", "subscription_ended", fact.occurredAt) : next)
}

const isWithinLastAttemptWindow = (earlier: Instant | null, later: Instant): boolean =>
  earlier !== null && Date.parse(later) - Date.parse(earlier) <= PAIRING_WINDOW_MS

/**
 * The invoice that starts a subscription, or the first one after its trial or its free plan, never paid: a failed sale, not
 * churn. This holds for the invoice, however long it is retried.
 */
function isUnpaidFirstSale(state: CustomerState, payment: PaymentState): boolean {
  if (payment.isFirstInvoice) return true
  const subscription = subscriptionOf(state, payment.subscriptionId)
  if (subscription === undefined || payment.failedAt === null) return false
  return isUnpaidTrial(subscription, payment.failedAt) || (!subscription.hasPaid && wasFree(state, subscription))
}

/** By its prices, or by a paid bill of zero. */
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

/** With the amounts that the invoice's own failure states. */
function withInvoiceStatement(payment: PaymentState, fact: Failed): PaymentState {
  const isOfInvoice =
    fact.invoiceId !== null && (fact.attempt !== null || (fact.chargeId ?? fact.paymentIntentId) === null)
  return isOfInvoice ? withStatement(payment, fact) : payment
}
