/**
 * Features of how much the product is used, against the customer's own past, so that logins and gigabytes can be compared.
 * Of several meters each is measured against itself; the mean of them counts.
 */
import type { Fact } from "../facts.ts"
import type { Features } from "./schema.ts"
import { daysSince, factsOf, type LedgerView } from "./view.ts"

/** A customer who uses three times as much as before is no safer than one who uses twice as much. */
const RATIO_MAX = 2

type Usage = Pick<
  Features,
  | "usage_known"
  | "usage_4w_ratio"
  | "usage_8w_ratio"
  | "usage_2w_ratio"
  | "usage_life_ratio"
  | "usage_decline_4w"
  | "usage_decline_8w"
  | "zero_usage_4w"
  | "zero_usage_weeks"
  | "days_since_usage"
>

/** Quantities of one meter by the age in days at which they were used. */
type Meter = readonly { readonly age: number; readonly quantity: number }[]

/** The usage of a customer; everything but `usage_known` is null for one of whom no usage was ever told. */
export function usageFeatures(view: LedgerView): Usage {
  const used = factsOf(view, "usage_recorded")
  const meters = metersOf(view, used)
  const ratio4 = meanRatio(meters, 28, 56)
  const ratio8 = meanRatio(meters, 28, 84)
  const isKnown = used.length > 0
  const all = meters.flat()
  const lastUse = all.reduce((least, { age, quantity }) => (quantity > 0 && age < least ? age : least), Infinity)
  const firstRecord = all.reduce((most, { age }) => (age > most ? age : most), 0)
  const isZero = (from: number, to: number) => !all.some(({ age, quantity }) => quantity > 0 && age > from && age <= to)
  return {
    usage_known: Number(isKnown),
    usage_4w_ratio: ratio4,
    usage_8w_ratio: ratio8,
    usage_2w_ratio: meanRatio(meters, 14, 56),
    usage_life_ratio: meanRatio(meters, 28, Infinity),
    usage_decline_4w: ratio4 === null ? null : Math.max(0, 1 - ratio4),
    usage_decline_8w: ratio8 === null ? null : Math.max(0, 1 - ratio8),
    zero_usage_4w: isKnown ? Number(isZero(0, 28)) : null,
    zero_usage_weeks: isKnown ? [0, 7, 14, 21].filter((from) => isZero(from, from + 7)).length : null,
    days_since_usage: !isKnown ? null : lastUse === Infinity ? firstRecord : lastUse,
  }
}

function metersOf(view: LedgerView, used: readonly Extract<Fact, { kind: "usage_recorded" }>[]): Meter[] {
  const byMeter = new Map<string, { age: number; quantity: number }[]>()
  for (const { meter, quantity, occurredAt } of used) {
    const entry = { age: daysSince(view, occurredAt), quantity: Math.max(0, quantity) }
    const same = byMeter.get(meter)
    if (same) same.push(entry)
    else byMeter.set(meter, [entry])
  }
  // Adding numbers is not associative: the order of meters decides the last bit.
  return [...byMeter].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, meter]) => meter)
}

/**
 * Use per day of the last `recent` days against that of the days from there back to `until`, as far as the meter was there,
 * over all meters that were in use then. Null where none was, or where it is too short a time to compare with.
 */
function meanRatio(meters: readonly Meter[], recent: number, until: number): number | null {
  const ratios = meters.flatMap((meter) => {
    const covered = Math.min(until, coveredDays(meter)) - recent
    const before = sum(meter, recent, until)
    if (before <= 0 || covered < MIN_COVERED_DAYS) return []
    return [Math.min(RATIO_MAX, sum(meter, 0, recent) / recent / (before / covered))]
  })
  return ratios.length === 0 ? null : ratios.reduce((total, ratio) => total + ratio, 0) / ratios.length
}

/** Less than a week of the past says nothing of a habit. */
const MIN_COVERED_DAYS = 7

/** Days that a meter reaches back: a record tells of the week up to it. */
const coveredDays = (meter: Meter): number => meter.reduce((most, { age }) => (age > most ? age : most), 0) + 7

const sum = (meter: Meter, from: number, to: number): number =>
  meter.reduce((total, { age, quantity }) => (age > from && age <= to ? total + quantity : total), 0)
