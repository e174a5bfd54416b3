/** A payment case of which nothing is heard any more: neither paid, nor voided, nor given up. */
import type { Fact, Instant } from "../../facts.ts"
import { type CaseState, type CustomerState, findCase } from "../../state.ts"
import { close, withCase } from "./cases.ts"
import { failureTimes } from "./payment-matching.ts"

/**
 * Days without news after which an open payment case counts as lost. Stripe retries for two months at most, and links in
 * messages end after one; a payment that comes later still recovers the case.
 */
export const LAPSE_DAYS = 60

const LAPSE_MS = LAPSE_DAYS * 86_400_000

/** Cases of which nothing was heard since then lapse at `now`. */
export const lapsingSince = (now: Date): Date => new Date(now.getTime() - LAPSE_MS)

/**
 * When a payment case was last heard of: a failure, a change of what it asks for, or the time by which the result of a
 * payment in progress is due, which may be still to come. Null for other cases.
 */
export function lastNewsAt(state: CustomerState, recoveryCase: CaseState): Instant | null {
  if (recoveryCase.kind !== "payment") return null
  const { openedAt, heardAt = openedAt, invoiceFailures, invoiceId } = recoveryCase
  const pending = (state.pending ?? []).filter((entry) => entry.invoiceId === invoiceId || entry.invoiceId === null)
  const news = [openedAt, heardAt, ...failureTimes(invoiceFailures), ...pending.map(({ until }) => until)]
  return news.reduce((last, at) => (at > last ? at : last))
}

/** When an open payment case lapses unless something is heard of it; null: it is no such case. */
export function lapseTime(state: CustomerState, recoveryCase: CaseState): Instant | null {
  const last = recoveryCase.status === "open" ? lastNewsAt(state, recoveryCase) : null
  return last === null ? null : new Date(Date.parse(last) + LAPSE_MS).toISOString()
}

/**
 * The fact that a case has lapsed by `now`; null: it has not. It is dated by when the case lapsed, so that it says the same
 * whichever run of the job finds it; after all that the ledger holds, which may have moved on with another case.
 */
export function lapsedBy(
  state: CustomerState,
  caseId: string,
  now: Instant,
): Extract<Fact, { kind: "case_lapsed" }> | null {
  const recoveryCase = findCase(state, caseId)
  const due = recoveryCase ? lapseTime(state, recoveryCase) : null
  if (due === null || due > now) return null
  const last = state.position?.occurredAt ?? due
  const occurredAt = last < due ? due : new Date(Date.parse(last) + 1).toISOString()
  return { kind: "case_lapsed", id: `case_lapsed:${caseId}:${due}`, occurredAt, caseId }
}

/** Closes the case, unless it was heard of since the job that wrote this looked. */
export function lapse(state: CustomerState, fact: Extract<Fact, { kind: "case_lapsed" }>): CustomerState {
  const recoveryCase = findCase(state, fact.caseId)
  const due = recoveryCase ? lapseTime(state, recoveryCase) : null
  if (!recoveryCase || due === null || due > fact.occurredAt) return state
  return withCase(state, close(recoveryCase, "lost", "lapsed", fact.occurredAt))
}
