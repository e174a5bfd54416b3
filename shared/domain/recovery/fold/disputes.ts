/** Disputes: a chargeback takes a recovery back, and gives it back when it is won. */
import type { Fact } from "../../facts.ts"
import { type CaseState, type CustomerState, paymentOf } from "../../state.ts"
import { settlePaidCase, withCase } from "./cases.ts"
import { caseOf, invoiceOf } from "./payment-matching.ts"

type Opened = Extract<Fact, { kind: "dispute_opened" }>
type Closed = Extract<Fact, { kind: "dispute_closed" }>

/** A chargeback reverses the recovery of the payment it is about; an inquiry moves no money and changes nothing. */
export const openDispute = (state: CustomerState, fact: Opened): CustomerState =>
  fact.isInquiry ? state : reverse(state, fact)

/**
 * A dispute that was won or withdrawn leaves the money where it was: the recovery stands again. One that was lost took
 * the money, also when nobody told of its opening.
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
 * The case whose payment is disputed: by invoice, charge or payment intent. Where no event ever named them together, the
 * one recovered case of exactly that amount; when two would fit, none is touched.
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
