/** A payment case of which nothing is heard any more: neither paid, nor voided, nor given up. */
import type { Fact, Instant } from "../facts.ts"
import { type CaseState, type CustomerState, findCase } from "../state.ts"
import { close, withCase } from "./cases.ts"
import { timesOfFailures } from "./pairing.ts"

/**
 * Days without news after which an open payment case counts as lost. Stripe retries for two months at most, and links in
 * messages end after one; a payment that comes later still recovers the case.
 */
export const LAPSE_DAYS = 60

/** When the case lapses unless something is heard of it. */
export function lapsesAt(state: CustomerState, recoveryCase: CaseState): Instant {
  const pending = (state.pending ?? []).filter(({ invoiceId }) => invoiceId === recoveryCase.invoiceId)
  const news = [
    recoveryCase.openedAt,
    ...timesOfFailures(recoveryCase.invoiceFailures),
    ...pending.map(({ until }) => until),
  ].sort()
  return new Date(Date.parse(news.at(-1) ?? recoveryCase.openedAt) + LAPSE_DAYS * 86_400_000).toISOString()
}

/** Closes the case, unless it was heard of since the job that wrote this looked. */
export function lapse(state: CustomerState, fact: Extract<Fact, { kind: "case_lapsed" }>): CustomerState {
  const recoveryCase = findCase(state, fact.caseId)
  if (recoveryCase?.kind !== "payment" || recoveryCase.status !== "open") return state
  if (lapsesAt(state, recoveryCase) > fact.occurredAt) return state
  return withCase(state, close(recoveryCase, "lost", "lapsed", fact.occurredAt))
}
