/**
 * Payments, and the `payment` case that a failed invoice opens. One attempt is told by up to three events (invoice,
 * charge, payment intent); since Stripe's version 2025-03-31 the latter two do not name the invoice, so they are paired
 * with it by amount and time.
 */
import type { Fact, Instant } from "../facts.ts"
import type { CaseState, CustomerState, LoosePayment, PaymentState } from "../state.ts"
import { close, paymentCaseId, withCase } from "./cases.ts"

type Failed = Extract<Fact, { kind: "payment_failed" }>
type Succeeded = Extract<Fact, { kind: "payment_succeeded" }>
type PaymentFact = Extract<Fact, { readonly invoiceId: string | null; readonly chargeId: string | null }>

/** A charge and the invoice event that tells of it come seconds apart; ten minutes leave room for a slow capture. */
const PAIRING_WINDOW_MS = 10 * 60_000

/** Loose charges kept for pairing; a customer has a handful within the window. */
const LOOSE_MAX = 20

/** Paid invoices without a case that are kept for later disputes and repeats; five years of monthly bills. */
const SETTLED_PAYMENTS_MAX = 60

/** A first invoice after a trial may be tried for two weeks (Stripe's recommended retry window) before it is given up. */
const FIRST_INVOICE_WINDOW_MS = 14 * 86_400_000

/** A failed attempt: opens the invoice's case, or is gathered by it. */
export function fail(state: CustomerState, fact: Failed): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return pairWithInvoice(state, looseOf(fact, "failed"))

  const before = state.payments[invoiceId]
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
  }
  return gatherFailure(withPayment(paired.state, payment), payment, fact, loose)
}

/** A payment that arrived, by whatever way: recovers the case, even one that was already counted as lost. */
export function succeed(state: CustomerState, fact: Succeeded): CustomerState {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId === null) return pairWithInvoice(state, looseOf(fact, "succeeded"))

  const before = state.payments[invoiceId]
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
  const before = state.payments[invoiceId]
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
  const before = invoiceId === null ? undefined : state.payments[invoiceId]
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
  const before = invoiceId === null ? undefined : state.payments[invoiceId]
  if (!before || before.status === "succeeded") return state
  const changed = withPayment(state, { ...before, status })
  const recoveryCase = caseOf(changed, before.invoiceId)
  return recoveryCase ? withCase(changed, close(recoveryCase, "lost", status, at)) : changed
}

function gatherFailure(
  state: CustomerState,
  payment: PaymentState,
  fact: Failed,
  loose: LoosePayment | undefined,
): CustomerState {
  // A charge tells of an attempt, not of what the invoice is for: only the invoice's own failure opens a case.
  const isChargeLevel = fact.attempt === null && (fact.chargeId ?? fact.paymentIntentId) !== null
  const present = caseOf(state, payment.invoiceId)
  if (present && present.status !== "open") return state
  if (!present && (isChargeLevel || isSaleNeverMade(state, payment, fact))) return state

  const charges = [...(isChargeLevel ? refsOf(fact).slice(0, 1) : []), ...(loose?.refs.slice(0, 1) ?? [])]
  const gathered: CaseState = {
    ...(present ?? newPaymentCase(payment, fact.occurredAt)),
    subscriptionId: payment.subscriptionId,
    declineCode: payment.declineCode,
    needsAuthentication: payment.needsAuthentication,
    invoiceFailures: isChargeLevel
      ? (present?.invoiceFailures ?? [])
      : mergeRefs(present?.invoiceFailures ?? [], [`${fact.attempt ?? ""}@${fact.occurredAt}`]),
    chargeFailures: mergeRefs(present?.chargeFailures ?? [], charges),
    ...(!isChargeLevel && { amountMinor: fact.amountMinor, currency: fact.currency }),
  }
  return withCase(state, hasGivenUp(fact) ? close(gathered, "lost", "provider_gave_up", fact.occurredAt) : gathered)
}

/**
 * No further attempt after at least two: the provider gave up. Nothing planned after the very first failure only says
 * that retries are switched off: the bill stays open and the member can still pay it.
 */
const hasGivenUp = (fact: Failed): boolean => fact.nextAttemptAt === null && fact.attempt !== null && fact.attempt >= 2

/** The invoice that starts a subscription, or the first one after its trial, never paid: a sale not made, no churn. */
function isSaleNeverMade(state: CustomerState, payment: PaymentState, fact: Failed): boolean {
  if (payment.isFirstInvoice) return true
  const subscription = payment.subscriptionId === null ? undefined : state.subscriptions[payment.subscriptionId]
  if (!subscription || subscription.hasPaid || subscription.trialEnd === null) return false
  return Date.parse(fact.occurredAt) - Date.parse(subscription.trialEnd) <= FIRST_INVOICE_WINDOW_MS
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
  disputeId: null,
})

function recover(state: CustomerState, payment: PaymentState): CustomerState {
  const recoveryCase = caseOf(state, payment.invoiceId)
  const isFinal = recoveryCase?.closeReason === "closed_by_operator" || recoveryCase?.closeReason === "voided"
  if (!recoveryCase || payment.paidAt === null || isFinal) return state
  if (recoveryCase.status !== "open" && recoveryCase.status !== "lost") return state
  return withCase(state, {
    ...recoveryCase,
    status: "recovered",
    closeReason: "paid",
    closedAt: payment.paidAt,
    recoveredMinor: payment.amountMinor,
  })
}

function markPaid(state: CustomerState, payment: PaymentState): CustomerState {
  const subscription = payment.subscriptionId === null ? undefined : state.subscriptions[payment.subscriptionId]
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

/** State with the payment, and without the oldest settled ones beyond the bound. */
function withPayment(state: CustomerState, payment: PaymentState): CustomerState {
  const payments = { ...state.payments, [payment.invoiceId]: payment }
  const settled = Object.values(payments)
    .filter((entry) => entry.status === "succeeded" && entry.paidAt !== null && !caseOf(state, entry.invoiceId))
    .sort((a, b) => ((a.paidAt ?? "") + a.invoiceId < (b.paidAt ?? "") + b.invoiceId ? -1 : 1))
  for (const entry of settled.slice(0, Math.max(0, settled.length - SETTLED_PAYMENTS_MAX)))
    delete payments[entry.invoiceId]
  return { ...state, payments }
}

/** The case of an invoice, if there is one. */
export const caseOf = (state: CustomerState, invoiceId: string): CaseState | undefined =>
  state.cases.find((candidate) => candidate.id === paymentCaseId(invoiceId))

/** The invoice that a charge or payment intent is known to have paid (or tried to); null when nothing says. */
export function invoiceOf(
  state: CustomerState,
  refs: { readonly chargeId: string | null; readonly paymentIntentId: string | null },
): string | null {
  const wanted = refsOf(refs)
  const match = Object.values(state.payments).find((payment) => payment.refs.some((ref) => wanted.includes(ref)))
  return match?.invoiceId ?? null
}

const refsOf = (fact: { readonly chargeId: string | null; readonly paymentIntentId: string | null }): string[] =>
  [fact.chargeId, fact.paymentIntentId].filter((ref) => ref !== null)

const mergeRefs = (...lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())].sort()

const looseOf = (fact: Failed | Succeeded, outcome: LoosePayment["outcome"]): LoosePayment => ({
  outcome,
  refs: refsOf(fact),
  amountMinor: fact.amountMinor,
  currency: fact.currency,
  declineCode: fact.kind === "payment_failed" ? fact.declineCode : null,
  at: fact.occurredAt,
})

const isSameAttempt = (
  loose: LoosePayment,
  other: { readonly amountMinor: number; readonly currency: string; readonly at: Instant },
): boolean =>
  loose.amountMinor === other.amountMinor &&
  loose.currency === other.currency &&
  Math.abs(Date.parse(loose.at) - Date.parse(other.at)) <= PAIRING_WINDOW_MS

/** Gives a charge that names no invoice to the invoice of the same outcome, amount and time; else keeps it for later. */
function pairWithInvoice(state: CustomerState, loose: LoosePayment): CustomerState {
  const match = Object.values(state.payments).find((payment) => {
    const at = loose.outcome === "failed" ? lastFailureAt(state, payment) : payment.paidAt
    return payment.status === loose.outcome && at !== null && isSameAttempt(loose, { ...payment, at })
  })
  if (!match) return { ...state, loose: mergeLoose(state.loose, loose) }

  const payment: PaymentState = {
    ...match,
    refs: mergeRefs(match.refs, loose.refs),
    declineCode: loose.declineCode ?? match.declineCode,
  }
  const changed = withPayment(state, payment)
  const recoveryCase = caseOf(changed, match.invoiceId)
  if (recoveryCase?.status !== "open") return changed
  return withCase(changed, {
    ...recoveryCase,
    declineCode: payment.declineCode,
    chargeFailures: mergeRefs(recoveryCase.chargeFailures, loose.refs.slice(0, 1)),
  })
}

/** A charge and its payment intent are one loose payment once either names the other. */
function mergeLoose(list: readonly LoosePayment[], loose: LoosePayment): readonly LoosePayment[] {
  const twin = list.find(
    (entry) => entry.outcome === loose.outcome && entry.refs.some((ref) => loose.refs.includes(ref)),
  )
  const merged = twin
    ? {
        ...twin,
        refs: [...new Set([...twin.refs, ...loose.refs])],
        declineCode: loose.declineCode ?? twin.declineCode,
      }
    : loose
  return [...list.filter((entry) => entry !== twin), merged].slice(-LOOSE_MAX)
}

function lastFailureAt(state: CustomerState, payment: PaymentState): Instant | null {
  const failures = caseOf(state, payment.invoiceId)?.invoiceFailures ?? []
  const times = failures.map((failure) => failure.slice(failure.indexOf("@") + 1)).sort()
  return times.at(-1) ?? payment.failedAt
}

function takeLoose(
  state: CustomerState,
  outcome: LoosePayment["outcome"],
  fact: Failed | Succeeded,
): { readonly state: CustomerState; readonly taken: LoosePayment | undefined } {
  if (fact.invoiceId === null) return { state, taken: undefined }
  const own = refsOf(fact)
  const taken =
    state.loose.find((loose) => loose.outcome === outcome && loose.refs.some((ref) => own.includes(ref))) ??
    state.loose.find(
      (loose) =>
        loose.outcome === outcome && own.length === 0 && isSameAttempt(loose, { ...fact, at: fact.occurredAt }),
    )
  return { state: taken ? { ...state, loose: state.loose.filter((loose) => loose !== taken) } : state, taken }
}
