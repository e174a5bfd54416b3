/**
 * Money: one table of currencies for parsing, storing and formatting amounts. Amounts are stored as integers in minor units
 * with the exponents of this table, for every provider.
 *
 * Sources: ISO 4217 (2026) for the exponents; docs.stripe.com/currencies for Stripe's exceptions, whose integers are stored
 * unchanged; the currency list of @whop/sdk for Whop's own codes. `Intl` knows symbols and separators but not minor units:
 * its table (CLDR) gives COP, HUF, IDR and MGA the decimals that are printed, while 1000 in HUF is ten.
 */
import type { Money } from "./facts.ts"

/** How amounts of a currency are stored and formatted. */
interface Currency {
  /** Decimals of the minor unit in which amounts are stored. */
  readonly exponent: number
  /** Charged in hundredths that are always zero, and formatted without decimals. */
  readonly isWrittenWhole?: true
  /** A cryptocurrency: formatted as a number and its code, with at least two decimals. */
  readonly isCrypto?: true
  /** Formatted as this currency. */
  readonly writtenAs?: string
}

/** Most currencies of ISO 4217 have two decimals; unlisted codes are treated the same. */
const USUAL: Currency = { exponent: 2 }

const of = (codes: string, currency: Currency): readonly (readonly [string, Currency])[] =>
  codes.split(" ").map((code) => [code, currency])

const CURRENCIES: ReadonlyMap<string, Currency> = new Map([
  // No minor unit in ISO 4217. MGA has one there (a fifth), which Stripe does not use and which is never printed.
  ...of("bif clp djf gnf jpy kmf krw mga pyg rwf uyi vnd vuv xaf xof xpf", { exponent: 0 }),
  // No minor unit in ISO 4217, but Stripe uses hundredths, for backward compatibility.
  ...of("isk ugx", { exponent: 2, isWrittenWhole: true }),
  ...of("bhd iqd jod kwd lyd omr tnd", { exponent: 3 }),
  ...of("clf uyw", { exponent: 4 }),
  // Whop's cryptocurrency codes. One bitcoin is 10^8 satoshi, USDT and USDC have six decimals. ETH and APE have 18, with
  // which an integer of 2^53 holds too few coins: they are stored with eight decimals, which is 90 million coins at a
  // precision of a fraction of a cent.
  ...of("btc eth ape", { exponent: 8, isCrypto: true }),
  ...of("usdt usdc", { exponent: 6, isCrypto: true }),
  // Whop's balance, in dollars. It is a separate currency: it is not money at a bank.
  ["whop_usd", { exponent: 2, writtenAs: "usd" }],
])

const currencyOf = (code: string): Currency => CURRENCIES.get(code.toLowerCase()) ?? USUAL

/** ISO codes, the longer codes of cryptocurrencies, and Whop's balance. */
const CODE = /^(?:[a-z]{3,5}|whop_usd)$/

/** The code in lower case, as providers write it; null for anything that does not look like a code. */
export function currencyCodeOf(value: unknown): string | null {
  if (typeof value !== "string") return null
  const code = value.toLowerCase()
  return CODE.test(code) ? code : null
}

/** The number of decimals of the stored minor unit of a currency; 2 for an unlisted one. */
export const exponentOf = (currency: string): number => currencyOf(currency).exponent

/** Digits of a decimal numeral, and of the exponent that JavaScript writes for very large and very small numbers. */
const DECIMAL = /^(\d{1,30})(?:\.(\d{1,40}))?(?:e([+-]?\d{1,3}))?$/i

/**
 * Converts an amount in major units (29, "29.00", 8.2) to minor units of the currency, exactly: with integers, never in
 * floating point. Digits below the minor unit are rounded half to even, so that 0.1 + 0.2 (which has a binary rounding
 * error) is 30 cents. Null for anything that is not a decimal, is negative, or exceeds a safe integer.
 */
export function minorUnitsOf(value: unknown, currency: string): number | null {
  const text = typeof value === "number" ? String(value) : typeof value === "string" ? value.trim() : ""
  const [, whole, fraction = "", power = "0"] = DECIMAL.exec(text) ?? []
  if (whole === undefined) return null

  const digits = BigInt(whole + fraction)
  const excess = fraction.length - Number(power) - exponentOf(currency)
  const minor = Number(excess <= 0 ? digits * 10n ** BigInt(-excess) : divideToEven(digits, 10n ** BigInt(excess)))
  return Number.isSafeInteger(minor) ? minor : null
}

function divideToEven(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor
  const twice = (dividend % divisor) * 2n
  const isUp = twice > divisor || (twice === divisor && quotient % 2n === 1n)
  return isUp ? quotient + 1n : quotient
}

/** The major amount as an exact decimal numeral; division would round large amounts. */
function toMajor(amountMinor: number, exponent: number): `${number}` {
  const digits = String(Math.abs(Math.trunc(amountMinor))).padStart(exponent + 1, "0")
  const whole = digits.slice(0, digits.length - exponent)
  const fraction = digits.slice(digits.length - exponent)
  const sign = amountMinor < 0 ? "-" : ""
  // The parts are digits only, which the template type cannot see.
  return `${sign}${whole}${exponent > 0 ? `.${fraction}` : ""}` as `${number}`
}

function formatterFor(locale: string | null, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  try {
    return new Intl.NumberFormat(locale?.replaceAll("_", "-") ?? "en", options)
  } catch {
    return new Intl.NumberFormat("en", options) // RangeError: not a language tag
  }
}

/** Longer than any currency name of a provider; longer names are truncated. */
const CURRENCY_NAME_MAX = 12

/**
 * The amount formatted for that locale, in English for an unknown one. Never throws: a currency that `Intl` does not accept
 * is written after the number by its name, and an amount that is not a safe integer gives the currency alone.
 */
export function formatMoney(money: Money, locale: string | null): string {
  const { exponent, isWrittenWhole, isCrypto, writtenAs } = currencyOf(money.currency)
  const name = (writtenAs ?? money.currency)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, "")
    .slice(0, CURRENCY_NAME_MAX)
    .toUpperCase()
  if (!Number.isSafeInteger(money.amountMinor)) return name

  const major = toMajor(money.amountMinor, exponent)
  const decimals = isWrittenWhole && money.amountMinor % 100 === 0 ? 0 : exponent
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
  if (/^[A-Z]{3}$/.test(name) && !isCrypto) {
    return formatterFor(locale, { style: "currency", currency: name, ...digits }).format(major)
  }
  const plainDigits = isCrypto ? { ...digits, minimumFractionDigits: 2 } : digits
  return `${formatterFor(locale, plainDigits).format(major)} ${name}`.trim()
}
