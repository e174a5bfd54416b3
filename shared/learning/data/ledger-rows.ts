/** Training rows from a customer's ledger: the features at the first of each month, and the label. */

import type { SubscriptionSnapshot } from "../../domain/facts.ts"
import { type ChurnLabel, churnLabel, LABEL_DAYS } from "../../domain/scoring/churn-label.ts"
import { type Features, features, type LedgerFact } from "../../domain/scoring/features.ts"

/** A customer's features at a moment, and their label. */
export interface LedgerRow {
  readonly atMs: number
  readonly values: Features
  readonly label: ChurnLabel
}

const DAY_MS = 86_400_000

/**
 * A row for each first of a month with paid access whose outcome is final at `nowMs`; newer rows would wrongly count as
 * "stayed". There is no row while a cancellation is announced.
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

/** A longer ledger means a wrong date. */
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
 * A ledger in which imported facts count from when they occurred, for training. The import is later than all of them, but a
 * webhook would have reported them at the time. A provider's lists contain subscriptions as of the import, so fields that may
 * have changed since (price, period end) are not used.
 */
export const withHistoryAtOccurredAt = (ledger: readonly LedgerFact[]): LedgerFact[] =>
  ledger.map((fact) => {
    if (fact.origin !== "history") return fact
    const known = { ...fact, knownAt: fact.occurredAt }
    return "subscription" in known ? { ...known, subscription: withoutChangeable(known.subscription) } : known
  })

const withoutChangeable = (snapshot: SubscriptionSnapshot): SubscriptionSnapshot => ({
  ...snapshot,
  currentPeriodEnd: null,
  items: snapshot.items.map((item) => ({ ...item, unitAmountMinor: null })),
})

/** A ledger without imported facts. */
export const withoutImportedFacts = (ledger: readonly LedgerFact[]): LedgerFact[] =>
  ledger.filter(({ origin }) => origin !== "history")
