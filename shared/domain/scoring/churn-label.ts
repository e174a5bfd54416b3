/**
 * The churn label: paid access lost within 30 days and not regained within another 30. A cancellation alone is not churn, and
 * returning within the grace period undoes it (the definition of KKBox's churn challenge).
 */

import type { Instant } from "../facts.ts"
import { type EndOfAccess, grantsAccess } from "./features/access.ts"
import { DAY_MS, GRACE_DAYS, type LedgerFact, viewOf } from "./features/view.ts"

/** A prediction is for the loss of access within this many days. */
export const HORIZON_DAYS = 30

/** Facts that become known later than this after horizon and grace period do not change a label. */
export const LATE_FACT_DAYS = 3

/** This many days after a prediction its label is final. */
export const LABEL_DAYS = HORIZON_DAYS + GRACE_DAYS + LATE_FACT_DAYS

/** The outcome of a customer; `end` is the reason of a churn. */
export type ChurnLabel =
  | { readonly isChurned: false; readonly end: null }
  | { readonly isChurned: true; readonly end: EndOfAccess }

/**
 * The label of a prediction at `asOf`, from the whole ledger. Only facts known by `asOf` plus `LABEL_DAYS` count, so that it
 * never changes afterwards. Null if there was nothing to predict: no paid access, or a cancellation already announced.
 */
export function churnLabel(ledger: readonly LedgerFact[], asOf: Instant): ChurnLabel | null {
  const then = viewOf(ledger, asOf)
  const serving = Object.values(then.state.subscriptions).filter(grantsAccess)
  if (serving.every(({ cancelAt }) => cancelAt !== null)) return null

  const later = viewOf(ledger, new Date(then.atMs + LABEL_DAYS * DAY_MS).toISOString())
  const period = later.periods.find(({ from, to }) => from <= asOf && (to === null || to > asOf))
  // Access had ended before `asOf` and that became known late, so there was nothing to predict.
  if (period === undefined) return null
  const isChurned = period.to !== null && Date.parse(period.to) <= then.atMs + HORIZON_DAYS * DAY_MS
  return isChurned ? { isChurned, end: period.end } : { isChurned: false, end: null }
}
