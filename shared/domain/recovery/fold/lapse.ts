/** Lapse of payment cases without news: neither paid, nor voided, nor given up by the provider. */
import type { Fact, Instant } from "../../facts.ts"
import { type CaseState, type CustomerState, findCase } from "../../state.ts"
import { close, withCase } from "./cases.ts"
import { failureTimes } from "./payments/payment-matching.ts"

/**
 * Days without news after which an open payment case is lost. Stripe retries for at most two months, and links in messages
 * expire after one; a later payment still recovers the case.
 */
export const LAPSE_DAYS = 60

const LAPSE_MS = LAPSE_DAYS * 86_400_000

/** Cases without news since then lapse at `now`. */
export const lapsingSince = (now: Date): Date => new Date(now.getTime() - LAPSE_MS)

/**
 * The time of the last news of a payment case: a failure, a change of its amount, or the time-out of a payment in progress,
 * which may be in the future. Null for other cases.
 */
export function lastNewsAt(state: CustomerState, recoveryCase: CaseState): Instant | null {
  if (recoveryCase.kind !== "payment") return null
  const { openedAt, heardAt = openedAt, invoiceFailures, invoiceId } = recoveryCase
  const pending = (state.pending ?? []).filter((entry) => entry.invoiceId === invoiceId || entry.invoiceId === null)
  const news = [openedAt, heardAt, ...failureTimes(invoiceFailures), ...pending.map(({ until }) => until)]
  return news.reduce((last, at) => (at > last ? at : last))
}

/** When an open payment case lapses unless there is news; null: it is not an open payment case. */
export function lapseTime(state: CustomerState, recoveryCase: CaseState): Instant | null {
  const last = recoveryCase.status === "open" ? lastNewsAt(state, recoveryCase) : null
  return last === null ? null : new Date(Date.parse(last) + LAPSE_MS).toISOString()
}

/**
 * The fact that a case has lapsed by `now`; null: it has not. It has the time at which the case lapsed, so that every run
 * of the job writes the same fact; but a time after the whole ledger, which may have newer facts of other cases.
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

/** Closes the case, unless there was news since the job read the state. */
export function lapse(state: CustomerState, fact: Extract<Fact, { kind: "case_lapsed" }>): CustomerState {
  const recoveryCase = findCase(state, fact.caseId)
  const due = recoveryCase ? lapseTime(state, recoveryCase) : null
  if (!recoveryCase || due === null || due > fact.occurredAt) return state
  return withCase(state, close(recoveryCase, "lost", "lapsed", fact.occurredAt))
}
