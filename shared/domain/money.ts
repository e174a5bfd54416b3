/**
 * Money as people read it. `Intl` knows symbols and separators but not the providers' minor units: its table (CLDR) gives
 * COP, HUF and IDR no decimals because nobody prints them, while an amount of 1000 in those is ten. So the exponent has a
 * table of its own.
 */
import type { Money } from "./facts.ts"

/** docs.stripe.com/currencies, zero-decimal. ISK and UGX are left out: Stripe charges them with two decimals, both zero. */
const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "))
/** docs.stripe.com/currencies, three-decimal, and those ISO 4217 adds. */
const THREE_DECIMAL = new Set("bhd iqd jod kwd lyd omr tnd".split(" "))
/** One bitcoin is 100 000 000 satoshi. */
const BITCOIN_DECIMALS = 8
/** Currencies that are charged in hundredths but never written so. */
const WRITTEN_WHOLE = new Set(["isk", "ugx"])
/** Whop's balance, which is counted in dollars (currency list of @whop/sdk). */
const SAME_AS: Readonly<Record<string, string>> = { whop_usd: "usd" }
/** Longer than any currency name a provider uses; the rest is cut. */
const CURRENCY_NAME_MAX = 12

/** How many decimals the minor unit of a currency has, in the providers' counting; 2 for a currency nobody lists. */
export function exponentOf(currency: string): number {
  const code = currency.toLowerCase()
  if (ZERO_DECIMAL.has(code)) return 0
  if (THREE_DECIMAL.has(code)) return 3
  return code === "btc" ? BITCOIN_DECIMALS : 2
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

/**
 * The amount in the words of that locale, English for a locale nobody knows. Never throws: a currency that is not ISO is
 * written after the number by its own name, and an amount that is no whole number yields the currency alone.
 */
export function formatMoney(money: Money, locale: string | null): string {
  const asked = money.currency.toLowerCase()
  const currency = Object.hasOwn(SAME_AS, asked) ? (SAME_AS[asked] ?? asked) : asked
  const name = currency
    .replaceAll(/[^a-z0-9_]/g, "")
    .slice(0, CURRENCY_NAME_MAX)
    .toUpperCase()
  if (!Number.isSafeInteger(money.amountMinor)) return name

  const exponent = exponentOf(currency)
  const major = toMajor(money.amountMinor, exponent)
  const shown = WRITTEN_WHOLE.has(currency) && money.amountMinor % 100 === 0 ? 0 : exponent
  const digits = { minimumFractionDigits: shown, maximumFractionDigits: shown }
  if (/^[A-Z]{3}$/.test(name) && currency !== "btc") {
    return formatterFor(locale, { style: "currency", currency: name, ...digits }).format(major)
  }
  const fewest = currency === "btc" ? { ...digits, minimumFractionDigits: 2 } : digits
  return `${formatterFor(locale, fewest).format(major)} ${name}`.trim()
}
