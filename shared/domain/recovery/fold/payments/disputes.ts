/** Disputes: a chargeback reverses a recovery, and a dispute that is won restores it. */
import type { Fact } from "../../../facts.ts"
import { type CaseState, type CustomerState, paymentOf } from "../../../state.ts"
import { settlePaidCase, withCase } from "../cases.ts"
import { caseOf, invoiceOf } from "./payment-matching.ts"

type Opened = Extract<Fact, { kind: "dispute_opened" }>
type Closed = Extract<Fact, { kind: "dispute_closed" }>

/** A chargeback reverses the recovery of its payment; an inquiry moves no money and changes nothing. */
export const openDispute = (state: CustomerState, fact: Opened): CustomerState =>
  fact.isInquiry ? state : reverse(state, fact)

/**
 * A dispute that was won or withdrawn returns the money: the case is recovered again. One that was lost reverses the
 * recovery, also when the event of its opening is missing.
 */
export function closeDispute(state: CustomerState, fact: Closed): CustomerState {
  if (fact.outcome === "lost") return reverse(state, fact)
  const recoveryCase = state.cases.find((candidate) => candidate.disputeId === fact.disputeId)
  if (recoveryCase?.closeReason !== "dispute") return state
  const payment = paymentOf(state, recoveryCase.invoiceId)
  return payment ? withCase(state, settlePaidCase(recoveryCase, payment, fact.occurredAt)) : state
}

function reverse(state: CustomerState, fact: Opened | Closed): CustomerState {
  const recoveryCase = disputedCase(state, fact)
  if (recoveryCase?.status !== "recovered" && recoveryCase?.closeReason !== "refunded") return state
  return withCase(state, {
    ...recoveryCase,
    status: "reversed",
    closeReason: "dispute",
    closedAt: fact.occurredAt,
    recoveredMinor: 0,
    disputeId: fact.disputeId,
  })
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
