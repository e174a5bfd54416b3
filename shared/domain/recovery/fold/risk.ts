/** The `at_risk` case: opened by a score and the policy, closed when the risk is no longer current or a cancellation comes. */
import type { Fact } from "../../facts.ts"
import { type CustomerState, findCase, subscriptionOf } from "../../state.ts"
import { close, originOf, withCase } from "./cases.ts"
import { amountAtStake } from "./subscriptions.ts"

/**
 * Opens the case. A customer has at most one at a time, and none for a subscription that has ended or whose end is
 * announced.
 */
export function detectRisk(state: CustomerState, fact: Extract<Fact, { kind: "risk_detected" }>): CustomerState {
  const { caseId, subscriptionId, probability, until } = fact
  const subscription = subscriptionOf(state, subscriptionId)
  const isOpen = state.cases.some(({ kind, status }) => kind === "at_risk" && status === "open")
  if (!subscription || subscription.endedAt !== null || subscription.cancelAt !== null) return state
  if (isOpen || findCase(state, caseId)) return state
  return withCase(state, {
    id: caseId,
    kind: "at_risk",
    status: "open",
    subscriptionId,
    invoiceId: null,
    ...amountAtStake(state, subscription),
    declineCode: null,
    needsAuthentication: false,
    invoiceFailures: [],
    chargeFailures: [],
    openedAt: fact.occurredAt,
    closedAt: null,
    closeReason: null,
    // A member who stays pays nothing extra: the effect of contact shows only in the comparison with the hold-out.
    recoveredMinor: 0,
    newCard: null,
    disputeId: null,
    risk: { probability, until },
    ...originOf(fact),
  })
}

/** The risk is no longer current: the member is still subscribed. */
export function closeRiskCase(state: CustomerState, fact: Extract<Fact, { kind: "risk_passed" }>): CustomerState {
  const recoveryCase = findCase(state, fact.caseId)
  if (recoveryCase?.kind !== "at_risk") return state
  return withCase(
    state,
    close(recoveryCase, "recovered", fact.why === "fell" ? "risk_fell" : "stayed", fact.occurredAt),
  )
}
