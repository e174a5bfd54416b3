/**
 * When a delayed payment times out. Bank debits: the provider's longest time until success or failure is known. Vouchers:
 * when they expire, and the days until the bank reports a payment made on the last day.
 */
import type { Instant } from "../facts.ts"

const DAY_MS = 86_400_000

/** Days until a result is known, by method (docs.stripe.com/payments/bank-debits, /payments/vouchers; docs.whop.com/payments). */
const RESULT_DAYS: ReadonlyMap<string, number> = new Map([
  ["us_bank_account", 14],
  ["ach", 14],
  ["ach_debit", 14],
  ["acss_debit", 14],
  ["au_becs_debit", 14],
  ["bacs_debit", 14],
  ["nz_bank_account", 14],
  ["sepa_debit", 21],
  ["customer_balance", 30],
  ["boleto", 14],
  ["oxxo", 14],
  ["konbini", 14],
  ["multibanco", 14],
  ["card", 1],
  ["link", 1],
])

/** For unknown methods: the longest of the common debits. */
const DEFAULT_DAYS = 14

/** A voucher that was paid on its last day is reported within this time. */
const VOUCHER_REPORT_DAYS = 3

/** A later expiry is taken for an error of the provider. */
const EXPIRY_DAYS_MAX = 60

/** When a payment that was started at `since` times out. */
export function resultTimeoutAt(method: string | null, since: Instant, expiresAt: Instant | null): Instant {
  const startMs = Date.parse(since)
  const byMethod = startMs + (RESULT_DAYS.get(method ?? "") ?? DEFAULT_DAYS) * DAY_MS
  const byExpiry = expiresAt === null ? byMethod : Date.parse(expiresAt) + VOUCHER_REPORT_DAYS * DAY_MS
  return new Date(Math.max(startMs, Math.min(byExpiry, startMs + EXPIRY_DAYS_MAX * DAY_MS))).toISOString()
}
