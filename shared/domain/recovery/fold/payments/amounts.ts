/**
 * What is owed on an invoice, after credit notes and part payments. Invoice events state all amounts; credit notes and part
 * payments have events of their own in between, and count until an invoice event includes them.
 */
import type { BillDetails, Fact, Instant } from "../../../facts.ts"
import { type CaseState, type CustomerState, type PaymentState, paymentOf } from "../../../state.ts"
import { BOUNDS } from "../bounds.ts"
import { close, withCase } from "../cases.ts"
import { withBoundedEntry } from "../records.ts"
import { caseOf, mergeRefs, refsOf, withPayment } from "./payment-matching.ts"

/** The invoice states its current amount. */
export function changeInvoice(state: CustomerState, fact: Extract<Fact, { kind: "invoice_changed" }>): CustomerState {
  const before = paymentOf(state, fact.invoiceId)
  if (!before || before.status === "succeeded") return state
  const recoveryCase = caseOf(state, before.invoiceId)
  const isWaived = recoveryCase?.closeReason === "waived"
  if (before.status === "voided" && !isWaived) return state
  const isOwedAgain = isWaived && fact.amountMinor > 0
  const payment: PaymentState = {
    ...withStatement({ ...before, amountMinor: fact.amountMinor, currency: fact.currency }, fact),
    status: isOwedAgain ? "failed" : before.status,
  }
  const reopened =
    isOwedAgain && recoveryCase
      ? withCase(state, { ...recoveryCase, status: "open", closeReason: null, closedAt: null })
      : state
  return updateAmountOwed(withPayment(reopened, payment), payment, fact.occurredAt)
}

/** A credit note on an open invoice reduces what is owed, unless it is voided. */
export function creditInvoice(state: CustomerState, fact: Extract<Fact, { kind: "invoice_credited" }>): CustomerState {
  const before = paymentOf(state, fact.invoiceId)
  if (!before || before.status === "succeeded" || before.status === "voided") return state
  const amountMinor = fact.isVoided ? 0 : fact.amountMinor
  const payment = {
    ...before,
    credits: withBoundedEntry(before.credits, fact.creditNoteId, amountMinor, BOUNDS.partsOfInvoice),
  }
  return updateAmountOwed(withPayment(state, payment), payment, fact.occurredAt)
}

/**
 * A part of the invoice was paid; the invoice's own event reports full payment. A refund or dispute of the part names its
 * payment, so that is linked to the invoice, also once all is paid.
 */
export function recordPartPayment(
  state: CustomerState,
  fact: Extract<Fact, { kind: "invoice_part_paid" }>,
): CustomerState {
  const known = paymentOf(state, fact.invoiceId)
  if (!known || known.status === "voided") return state
  const before = { ...known, refs: mergeRefs(known.refs, refsOf(fact)) }
  if (before.status === "succeeded") return withPayment(state, before)
  const payment = {
    ...before,
    parts: withBoundedEntry(before.parts, fact.partId, fact.amountMinor, BOUNDS.partsOfInvoice),
  }
  return updateAmountOwed(withPayment(state, payment), payment, fact.occurredAt)
}

/**
 * The payment after its invoice stated its amounts. Where it does not state what was credited or paid, it is taken to
 * include all known credit notes and part payments.
 */
export function withStatement(payment: PaymentState, { creditedMinor, paidMinor }: BillDetails): PaymentState {
  const { creditedMinor: _, paidPartMinor: __, ...rest } = payment
  const credited = creditedMinor ?? sumOf(payment.credits)
  const paid = paidMinor ?? sumOf(payment.parts)
  return {
    ...rest,
    ...(credited > 0 && { creditedMinor: credited }),
    ...(paid > 0 && { paidPartMinor: paid }),
  }
}

/** What has been paid of the invoice: the larger of its own statement and the sum of part payments. */
export const paidPartOf = (payment: PaymentState): number => Math.max(payment.paidPartMinor ?? 0, sumOf(payment.parts))

/** What is owed plus what was paid since the case opened (`amountMinor`), and what is owed (`remainingMinor`). */
export function amountsOf(
  payment: PaymentState,
  recoveryCase: Pick<CaseState, "paidBeforeMinor">,
): { readonly amountMinor: number; readonly remainingMinor: number } {
  const creditedSince = Math.max(0, sumOf(payment.credits) - (payment.creditedMinor ?? 0))
  const paidSince = Math.max(0, sumOf(payment.parts) - (payment.paidPartMinor ?? 0))
  const remainingMinor = Math.max(0, payment.amountMinor - creditedSince - paidSince)
  const paidMinor = Math.max(0, paidPartOf(payment) - (recoveryCase.paidBeforeMinor ?? 0))
  return { amountMinor: Math.min(remainingMinor + paidMinor, Number.MAX_SAFE_INTEGER), remainingMinor }
}

/** The case with these amounts; `remainingMinor` is kept only where it differs. */
export function withAmounts(recoveryCase: CaseState, payment: PaymentState): CaseState {
  const { remainingMinor: _, ...rest } = recoveryCase
  const { amountMinor, remainingMinor } = amountsOf(payment, recoveryCase)
  return {
    ...rest,
    amountMinor,
    currency: payment.currency,
    ...(remainingMinor !== amountMinor && { remainingMinor }),
  }
}

/** Updates the case of an open invoice to what is owed. When nothing is owed and nothing was paid, it was waived. */
function updateAmountOwed(state: CustomerState, payment: PaymentState, at: Instant): CustomerState {
  const recoveryCase = caseOf(state, payment.invoiceId)
  if (recoveryCase?.status !== "open") return state
  const { amountMinor } = amountsOf(payment, recoveryCase)
  if (amountMinor > 0) return withCase(state, { ...withAmounts(recoveryCase, payment), heardAt: at })
  return withCase(withPayment(state, { ...payment, status: "voided" }), close(recoveryCase, "lost", "waived", at))
}

const sumOf = (amounts: Readonly<Record<string, number>> = {}): number =>
  Math.min(
    Object.values(amounts).reduce((sum, amount) => sum + amount, 0),
    Number.MAX_SAFE_INTEGER,
  )
