/**
 * Whop states amounts as decimals in major units (19.99), as numbers, as text, or since 2026 as
 * `{ amount: "50.00", currency, … }` (docs.whop.com/api-reference/payments/payment-failed). We keep integers in minor
 * units. The decimal is read digit by digit, so 19.99 is 1999 and never 1998.9999999999998.
 *
 * Trade-off: an amount with more digits than its currency has is refused, not rounded. Rounding could make two events
 * disagree by a cent; a refused event is kept as unhandled, where somebody sees it.
 */
import type { Money } from "../../../shared/domain/facts.ts"
import { err, ok, type Result } from "../../../shared/result.ts"
import { type JsonObject, objectOf } from "./fields.ts"

/** Currencies of ISO 4217 (2026) without minor units, with three, and Whop's own units; all others have two digits. */
const EXPONENTS: ReadonlyMap<string, number> = new Map([
  ...[
    "bif",
    "clp",
    "djf",
    "gnf",
    "isk",
    "jpy",
    "kmf",
    "krw",
    "pyg",
    "rwf",
    "ugx",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
  ].map((code) => [code, 0] as const),
  ...["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"].map((code) => [code, 3] as const),
  // Not ISO: the smallest units of the networks. Amounts of eth and ape beyond 2^53 wei are refused as out of range.
  ["btc", 8],
  ["usdt", 6],
  ["eth", 18],
  ["ape", 18],
  // Whop's own balance, kept one to one with the dollar. It stays its own currency: it is not money at a bank.
  ["whop_usd", 2],
])

/** ISO codes and the longer names in Whop's list (`usdt`, `whop_usd`). */
const CURRENCY = /^[a-z]{3,4}$|^whop_usd$/

/** The currency in lower case, null when it does not look like one. */
export function currencyOf(value: unknown): string | null {
  if (typeof value !== "string") return null
  const code = value.toLowerCase()
  return CURRENCY.test(code) ? code : null
}

/** An amount in minor units, or why it cannot be one. */
export function moneyOf(amount: unknown, currency: unknown): Result<Money, string> {
  const stated = objectOf(amount)
  const code = currencyOf(stated ? (stated.currency ?? currency) : currency)
  if (code === null) return err("currency not readable")
  const minor = minorUnits(stated ? stated.amount : amount, EXPONENTS.get(code) ?? 2)
  return minor === null ? err("amount not readable") : ok({ amountMinor: minor, currency: code })
}

/** The first of the fields that holds an amount, positive ones before zero; an error when one is there but not readable. */
export function firstMoney(data: JsonObject, names: readonly string[], currency: unknown): Result<Money, string> {
  let zero: Money | null = null
  for (const name of names) {
    const value = data[name]
    if (value === null || value === undefined) continue
    const money = moneyOf(value, currency)
    if (!money.ok) return money
    if (money.value.amountMinor > 0) return money
    zero ??= money.value
  }
  return zero === null ? err("no amount") : ok(zero)
}

/** The decimal times ten to the exponent, exactly; null when it is negative, not a decimal, too fine or too large. */
function minorUnits(value: unknown, exponent: number): number | null {
  const text = typeof value === "number" ? String(value) : typeof value === "string" ? value : ""
  const [, whole, fraction = "", power = "0"] = /^(\d{1,18})(?:\.(\d{1,20}))?(?:e([+-]\d{1,2}))?$/.exec(text) ?? []
  if (whole === undefined) return null

  const zeros = exponent + Number(power) - fraction.length
  const digits = whole + fraction
  const excess = zeros < 0 ? digits.slice(zeros) : ""
  if (/[1-9]/.test(excess)) return null
  const minor = Number(zeros < 0 ? digits.slice(0, zeros) || "0" : digits + "0".repeat(zeros))
  return Number.isSafeInteger(minor) ? minor : null
}
