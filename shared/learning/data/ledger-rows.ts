/** Rows to learn from in a customer's ledger: at the first of each month what was known, and what became of the customer. */

import type { SubscriptionSnapshot } from "../../domain/facts.ts"
import { type ChurnLabel, churnLabel, LABEL_DAYS } from "../../domain/scoring/churn-label.ts"
import { type Features, features, type LedgerFact } from "../../domain/scoring/features.ts"

/** What was known of a customer at a moment, and what became of them. */
export interface LedgerRow {
  readonly atMs: number
  readonly values: Features
  readonly label: ChurnLabel
}

const DAY_MS = 86_400_000

/**
 * A row for each first of a month at which the customer had something to lose, as long as its outcome is known at `nowMs`;
 * what is younger would count as "stayed" for want of news. A customer who had announced to leave gives none.
 */
export function ledgerRows(ledger: readonly LedgerFact[], nowMs: number): LedgerRow[] {
  const first = ledger.reduce((least, { occurredAt }) => (occurredAt < least ? occurredAt : least), "9999")
  const rows: LedgerRow[] = []
  for (const atMs of monthStarts(Date.parse(first), nowMs - LABEL_DAYS * DAY_MS)) {
    const asOf = new Date(atMs).toISOString()
    const label = churnLabel(ledger, asOf)
    if (label !== null) rows.push({ atMs, values: features(ledger, asOf), label })
  }
  return rows
}

/** A ledger longer than this is a date that is wrong. */
const MONTHS_MAX = 600

/** The first of every month (UTC) after `fromMs`, up to `untilMs`. */
export function monthStarts(fromMs: number, untilMs: number): number[] {
  if (Number.isNaN(fromMs)) return []
  const from = new Date(fromMs)
  const months: number[] = []
  for (let month = 1; month <= MONTHS_MAX; month++) {
    const at = Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + month)
    if (at > untilMs) break
    months.push(at)
  }
  return months
}

/**
 * A ledger in which imported facts count from when they happened, for training. The import came later than all of them; but
 * what happened, happened then, and would have been told then. A provider's lists tell of a subscription as it is on the
 * day of the import, so what may have changed since (price, end of the period) is not taken from them.
 */
export const withHistoryAtOccurredAt = (ledger: readonly LedgerFact[]): LedgerFact[] =>
  ledger.map((fact) => {
    if (fact.origin !== "history") return fact
    const told = { ...fact, knownAt: fact.occurredAt }
    return "subscription" in told ? { ...told, subscription: withoutLater(told.subscription) } : told
  })

const withoutLater = (snapshot: SubscriptionSnapshot): SubscriptionSnapshot => ({
  ...snapshot,
  currentPeriodEnd: null,
  items: snapshot.items.map((item) => ({ ...item, unitAmountMinor: null })),
})

/** A ledger as it was told, without what was imported. */
export const withoutImportedFacts = (ledger: readonly LedgerFact[]): LedgerFact[] =>
  ledger.filter(({ origin }) => origin !== "history")
