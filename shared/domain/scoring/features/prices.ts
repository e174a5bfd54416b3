/** Monthly prices of subscriptions as classes and ratios, which do not depend on a company's price list. */

import type { SubscriptionSnapshot } from "../../facts.ts"
import { exponentOf } from "../../money.ts"

/** Months per interval. Days and weeks are converted with the mean length of a month. */
const MONTHS: Readonly<Record<"day" | "week" | "month" | "year", number>> = {
  day: 12 / 365.25,
  week: (7 * 12) / 365.25,
  month: 1,
  year: 12,
}

/**
 * The power of ten of a currency's units per dollar: precise enough for price classes, and without exchange rates that change
 * daily. Other currencies count like the dollar.
 */
const UNITS_PER_DOLLAR: Readonly<Record<string, number>> = {
  ...tens(10, "cny czk dkk hkd mxn nok sek thb twd uah zar mad try php"),
  ...tens(100, "inr jpy rub huf isk kes dzd bdt lkr pkr rsd all amd kzt ngn ars"),
  ...tens(1_000, "krw clp cop crc iqd mnt tzs ugx xof xaf rwf bif"),
  ...tens(10_000, "idr vnd lak pyg gnf uzs khr"),
}

function tens(units: number, currencies: string): Record<string, number> {
  return Object.fromEntries(currencies.split(" ").map((currency) => [currency, units]))
}

/** Upper bounds of the price classes, in about dollars a month. */
const CLASS_CUTS = [
  ["up_to_10", 10],
  ["up_to_30", 30],
  ["up_to_100", 100],
  ["up_to_300", 300],
] as const

/** The classes of a monthly price, from free to the highest. */
export const PRICE_CLASSES = ["free", "up_to_10", "up_to_30", "up_to_100", "up_to_300", "above_300"] as const

type Priced = Pick<SubscriptionSnapshot, "currency" | "items">

/** How many months one invoice covers, by the longest item; null if unknown. */
export function monthsBilled({ items }: Priced): number | null {
  const months = items.flatMap(({ interval, intervalCount }) =>
    interval === null || intervalCount <= 0 ? [] : [MONTHS[interval] * intervalCount],
  )
  return months.length === 0 ? null : Math.max(...months)
}

/** Minor units per month over all items with a fixed price; null if no price is known. */
export function monthlyMinor({ items }: Priced): number | null {
  let total: number | null = null
  for (const { unitAmountMinor, quantity, interval, intervalCount } of items) {
    if (unitAmountMinor === null || interval === null || intervalCount <= 0) continue
    total = (total ?? 0) + (unitAmountMinor * quantity) / (MONTHS[interval] * intervalCount)
  }
  return total
}

/** The class of the monthly price; null if unknown. */
export function priceClassOf(priced: Priced): (typeof PRICE_CLASSES)[number] | null {
  const minor = monthlyMinor(priced)
  if (minor === null || priced.currency === null) return null
  if (minor <= 0) return "free"
  const code = priced.currency.toLowerCase()
  const units = Object.hasOwn(UNITS_PER_DOLLAR, code) ? (UNITS_PER_DOLLAR[code] ?? 1) : 1
  const dollars = minor / 10 ** exponentOf(code) / units
  return CLASS_CUTS.find(([, cut]) => dollars <= cut)?.[0] ?? "above_300"
}
