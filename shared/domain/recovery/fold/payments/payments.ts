/** How invoices end: paid, voided, reissued or uncollectible, and what that means for their `payment` case. */
import type { Fact, Instant } from "../../../facts.ts"
import { type CaseState, type CustomerState, type PaymentState, paymentOf, subscriptionOf } from "../../../state.ts"
import { close, isWaived, settlePaidCase, withCase } from "../cases.ts"
import { withEntry } from "../records.ts"
import {
  caseOf,
  invoiceOf,
  matchWithInvoice,
  mergeRefs,
  refsOf,
  takeUnmatched,
  unmatchedPaymentOf,
  withPayment,
} from "./payment-matching.ts"
import { isFree, paymentFrom, withDetails } from "./payment-record.ts"
import { endPending } from "./pending.ts"
import { continueVoidedCase, moveCase, recordReissue, replacementOf } from "./reissue.ts"

/** A payment by any means: recovers the case, even one that was already lost. */
export function succeed(before: CustomerState, fact: Extract<Fact, { kind: "payment_succeeded" }>): CustomerState {
  const state = endPending(before, fact)
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return matchWithInvoice(state, unmatchedPaymentOf(fact, "succeeded"))

  const known = paymentOf(state, invoiceId)
  const isChargeLevel = fact.invoiceId === null
  if (isChargeLevel && known?.status !== "succeeded") {
    return known ? withPayment(state, { ...known, refs: mergeRefs(known.refs, refsOf(fact)) }) : state
  }
  const matched = takeUnmatched(state, "succeeded", fact)
  const payment: PaymentState = {
    ...withDetails(paidFrom(known, fact, invoiceId), fact),
    status: "succeeded",
    refs: mergeRefs(known?.refs ?? [], refsOf(fact), matched.taken?.refs ?? []),
    paidAt: known?.paidAt ?? fact.occurredAt,
    how: known?.how === "out_of_band" ? "out_of_band" : isChargeLevel ? (known?.how ?? fact.how) : fact.how,
  }
  const paid = markPaid(withPayment(matched.state, payment), payment)
  return recover(continueVoidedCase(paid, payment, fact.occurredAt), payment)
}

/**
 * The paid amount only grows: an invoice states all that was paid of it, and the payment that settled it (Stripe's
 * `invoice_payment.paid`), which may be reported afterwards, states its own part.
 */
function paidFrom(
  known: PaymentState | undefined,
  fact: Extract<Fact, { kind: "payment_succeeded" }>,
  invoiceId: string,
): PaymentState {
  const payment = paymentFrom(known, fact, invoiceId)
  const isPart =
    known?.status === "succeeded" && known.currency === payment.currency && known.amountMinor > payment.amountMinor
  return isPart ? { ...payment, amountMinor: known.amountMinor } : payment
}

/**
 * The invoice is no longer owed: its case cannot be recovered, unless another invoice replaces it. A voided invoice for a
 * change of plan, while the previous plan continues, means that the change was not made: no customer is lost.
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

/** An invoice replaces another: the case of a voided one continues with it, and is recovered if it is already paid. */
export function reissue(state: CustomerState, fact: Extract<Fact, { kind: "invoice_reissued" }>): CustomerState {
  const moved = recordReissue(state, fact)
  const replacement = moved === state ? undefined : paymentOf(moved, fact.invoiceId)
  return replacement?.status === "succeeded" ? recover(moved, replacement) : moved
}

const isServing = (state: CustomerState, subscriptionId: string | null): boolean => {
  const subscription = subscriptionOf(state, subscriptionId)
  return subscription?.endedAt === null && (subscription.status === "active" || subscription.status === "trialing")
}

/** The provider wrote the invoice off; if it is paid later, it counts as recovered. */
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

/** Stored with the case when it is paid: the profile has only the newest card. */
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
