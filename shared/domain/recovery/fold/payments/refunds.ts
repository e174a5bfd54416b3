/** Refunds: they reduce what a recovery is worth. */
import type { Fact } from "../../../facts.ts"
import { type CustomerState, type PaymentState, paymentOf } from "../../../state.ts"
import { BOUNDS } from "../bounds.ts"
import { settlePaidCase, withCase } from "../cases.ts"
import { withBoundedEntry } from "../records.ts"
import { caseOf, invoiceOf, withPayment } from "./payment-matching.ts"

type Refund = Extract<Fact, { kind: "payment_refunded" | "refund_failed" }>

/** Money was returned: the recovery is worth less. A refund that failed returned nothing. */
export function refund(state: CustomerState, fact: Refund): CustomerState {
  const before = refundedPayment(state, fact)
  if (!before) return state
  const recorded = withRefund(before, fact)
  const totalMinor = recorded.refundTotalMinor ?? 0
  const entries = Object.values(recorded.refunds ?? {})
  const sum = (hasFailed: boolean) =>
    entries.filter((entry) => entry.hasFailed === hasFailed).reduce((all, { amountMinor }) => all + amountMinor, 0)
  const refundedMinor = Math.min(Math.max(0, totalMinor - sum(true), sum(false)), Number.MAX_SAFE_INTEGER)
  const payment = { ...recorded, refundedMinor }
  const changed = withPayment(state, payment)
  const recoveryCase = caseOf(changed, payment.invoiceId)
  const isPaid = recoveryCase?.closeReason === "paid" || recoveryCase?.closeReason === "refunded"
  return recoveryCase && isPaid ? withCase(changed, settlePaidCase(recoveryCase, payment, fact.occurredAt)) : changed
}

/** A charge states the total of its refunds, a refund states its own amount; one that failed stays failed. */
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
  withBoundedEntry(refunds, refundId, entry, BOUNDS.partsOfInvoice)

/** The refunded payment: by invoice, charge or payment intent, else the only recovered case of exactly that charge's amount. */
function refundedPayment(state: CustomerState, fact: Refund): PaymentState | undefined {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId !== null) return paymentOf(state, invoiceId)
  const chargeMinor = fact.kind === "payment_refunded" ? fact.chargeMinor : undefined
  const candidates = state.cases.flatMap((candidate) => {
    const payment = paymentOf(state, candidate.invoiceId)
    const isMatch =
      candidate.kind === "payment" &&
      candidate.status === "recovered" &&
      payment?.amountMinor === chargeMinor &&
      payment?.currency === fact.currency &&
      payment?.refs.length === 0
    return isMatch && payment ? [payment] : []
  })
  return candidates.length === 1 ? candidates[0] : undefined
}
