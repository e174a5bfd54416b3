/** Disputes: a chargeback takes a recovery back, and gives it back when it is won. */
import type { Fact } from "../facts.ts"
import type { CaseState, CustomerState } from "../state.ts"
import { withCase } from "./cases.ts"
import { caseOf, invoiceOf } from "./payments.ts"

type Opened = Extract<Fact, { kind: "dispute_opened" }>
type Closed = Extract<Fact, { kind: "dispute_closed" }>

/** A chargeback reverses the recovery of the payment it is about; an inquiry moves no money and changes nothing. */
export function openDispute(state: CustomerState, fact: Opened): CustomerState {
  const recoveryCase = fact.isInquiry ? undefined : disputedCase(state, fact)
  if (recoveryCase?.status !== "recovered") return state
  return withCase(state, {
    ...recoveryCase,
    status: "reversed",
    closeReason: "dispute",
    closedAt: fact.occurredAt,
    disputeId: fact.disputeId,
  })
}

/** A dispute that was won or withdrawn leaves the money where it was: the recovery stands again. */
export function closeDispute(state: CustomerState, fact: Closed): CustomerState {
  const recoveryCase = state.cases.find((candidate) => candidate.disputeId === fact.disputeId)
  if (recoveryCase?.status !== "reversed" || fact.outcome === "lost") return state
  const paidAt = recoveryCase.invoiceId === null ? null : (state.payments[recoveryCase.invoiceId]?.paidAt ?? null)
  return withCase(state, {
    ...recoveryCase,
    status: "recovered",
    closeReason: "paid",
    closedAt: paidAt ?? fact.occurredAt,
  })
}

/**
 * The case whose payment is disputed: by invoice, charge or payment intent. Where no event ever named them together, the
 * one recovered case of exactly that amount; when two would fit, none is touched.
 */
function disputedCase(state: CustomerState, fact: Opened): CaseState | undefined {
  const invoiceId = fact.invoiceId ?? invoiceOf(state, fact)
  if (invoiceId !== null) return caseOf(state, invoiceId)
  const candidates = state.cases.filter(
    (candidate) =>
      candidate.kind === "payment" &&
      candidate.status === "recovered" &&
      candidate.recoveredMinor === fact.amountMinor &&
      candidate.currency === fact.currency &&
      candidate.invoiceId !== null &&
      (state.payments[candidate.invoiceId]?.refs.length ?? 0) === 0,
  )
  return candidates.length === 1 ? candidates[0] : undefined
}
