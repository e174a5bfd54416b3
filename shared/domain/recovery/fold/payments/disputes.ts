/** Disputes: a chargeback takes its amount from a recovery, and a dispute that is won restores it. */
import type { Fact } from "../../../facts.ts"
import { type CaseState, type CustomerState, type PaymentState, paymentOf } from "../../../state.ts"
import { BOUNDS } from "../bounds.ts"
import { settlePaidCase, withCase } from "../cases.ts"
import { withBoundedEntry } from "../records.ts"
import { caseOf, invoiceOf, withPayment } from "./payment-matching.ts"

/** A dispute whose amount is not known, or in another currency, is of the whole payment. */
const WHOLE_PAYMENT = Number.MAX_SAFE_INTEGER

type Opened = Extract<Fact, { kind: "dispute_opened" }>
type Closed = Extract<Fact, { kind: "dispute_closed" }>

/** A chargeback takes its amount from the recovery of its payment; an inquiry moves no money and changes nothing. */
export const openDispute = (state: CustomerState, fact: Opened): CustomerState =>
  fact.isInquiry ? state : withdraw(state, fact)

/**
 * A dispute that was won or withdrawn returns the money: the case is recovered again. One that was lost takes its amount,
 * also when the event of its opening is missing.
 */
export function closeDispute(state: CustomerState, fact: Closed): CustomerState {
  if (fact.outcome === "lost") return withdraw(state, fact)
  const recoveryCase = state.cases.find((candidate) => isOfDispute(candidate, state, fact.disputeId))
  const payment = paymentOf(state, recoveryCase?.invoiceId ?? null)
  if (!recoveryCase || !payment) return state
  return settle(state, recoveryCase, withDispute(payment, fact.disputeId, 0), fact)
}

function withdraw(state: CustomerState, fact: Opened | Closed): CustomerState {
  const recoveryCase = disputedCase(state, fact)
  const payment = paymentOf(state, recoveryCase?.invoiceId ?? null)
  const isPaid = recoveryCase?.status === "recovered" || recoveryCase?.closeReason === "refunded"
  if (!recoveryCase || !payment || !isPaid) return state
  const isKnown = fact.amountMinor !== null && fact.currency === recoveryCase.currency
  const disputed = withDispute(payment, fact.disputeId, isKnown ? fact.amountMinor : WHOLE_PAYMENT)
  return settle(state, { ...recoveryCase, disputeId: fact.disputeId }, disputed, fact)
}

const settle = (
  state: CustomerState,
  recoveryCase: CaseState,
  payment: PaymentState,
  { occurredAt }: Opened | Closed,
): CustomerState => withCase(withPayment(state, payment), settlePaidCase(recoveryCase, payment, occurredAt))

const withDispute = (payment: PaymentState, disputeId: string, amountMinor: number): PaymentState => ({
  ...payment,
  disputes: withBoundedEntry(payment.disputes, disputeId, amountMinor, BOUNDS.partsOfInvoice),
})

/** Whether this dispute took something from the case. Older states have the dispute of a reversed case only. */
function isOfDispute({ invoiceId, closeReason, disputeId: last }: CaseState, state: CustomerState, disputeId: string) {
  const disputes = paymentOf(state, invoiceId)?.disputes
  if (disputes === undefined) return last === disputeId && closeReason === "dispute"
  return Object.hasOwn(disputes, disputeId)
}

/**
 * The case whose payment is disputed: by invoice, charge or payment intent. Where no event links them, the only recovered
 * case of exactly that amount; if two match, none.
 */
function disputedCase(state: CustomerState, fact: Opened | Closed): CaseState | undefined {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId !== null) return caseOf(state, invoiceId)
  const candidates = state.cases.filter(
    (candidate) =>
      candidate.kind === "payment" &&
      candidate.status === "recovered" &&
      candidate.recoveredMinor === fact.amountMinor &&
      candidate.currency === fact.currency &&
      (paymentOf(state, candidate.invoiceId)?.refs.length ?? 0) === 0,
  )
  return candidates.length === 1 ? candidates[0] : undefined
}
