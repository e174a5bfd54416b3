/**
 * What became of a customer: paid access lost within a month and not regained within another. A cancellation alone is no
 * loss, and coming back within the grace undoes one (the definition of KKBox's churn challenge).
 */

import type { Instant } from "../facts.ts"
import { type EndOfAccess, grantsAccess } from "./features/access.ts"
import { DAY_MS, GRACE_DAYS, type LedgerFact, viewOf } from "./features/view.ts"

/** A prediction is of the loss of access within so many days. */
export const HORIZON_DAYS = 30

/** Facts that become known later than this after horizon and grace change no label any more. */
export const LATE_FACT_DAYS = 3

/** From so many days after a prediction on its label is final. */
export const LABEL_DAYS = HORIZON_DAYS + GRACE_DAYS + LATE_FACT_DAYS

/** What became of somebody; `end` says why, where they left. */
export type ChurnLabel =
  | { readonly isChurned: false; readonly end: null }
  | { readonly isChurned: true; readonly end: EndOfAccess }

/**
 * The label of a prediction at `asOf`, from the whole ledger: what is known by then plus `LABEL_DAYS`, so that it never
 * changes afterwards. Null where there was nothing to predict: no paid access, or a leaving that was announced already.
 */
export function churnLabel(ledger: readonly LedgerFact[], asOf: Instant): ChurnLabel | null {
  const then = viewOf(ledger, asOf)
  const serving = Object.values(then.state.subscriptions).filter(grantsAccess)
  if (serving.length === 0 || serving.every(({ cancelAt }) => cancelAt !== null)) return null

  const later = viewOf(ledger, new Date(then.atMs + LABEL_DAYS * DAY_MS).toISOString())
  const spell = later.spells.find(({ from, to }) => from <= asOf && (to === null || to > asOf))
  // News of an end before that moment came late: there was nothing to lose any more.
  if (spell === undefined) return null
  const isChurned = spell.to !== null && Date.parse(spell.to) <= then.atMs + HORIZON_DAYS * DAY_MS
  return isChurned ? { isChurned, end: spell.end ?? "other" } : { isChurned, end: null }
}
