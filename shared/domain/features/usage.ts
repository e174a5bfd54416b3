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
  | "usage_drop_8w"
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
  const ratio4 = meanRatio(meters, 4, 8)
  const ratio8 = meanRatio(meters, 4, 12)
  const isKnown = used.length > 0
  const all = meters.flat()
  const lastUse = all.reduce((least, { age, quantity }) => (quantity > 0 && age < least ? age : least), Infinity)
  const firstRecord = all.reduce((most, { age }) => (age > most ? age : most), 0)
  const isZero = (from: number, to: number) => !all.some(({ age, quantity }) => quantity > 0 && age > from && age <= to)
  return {
    usage_known: Number(isKnown),
    usage_4w_ratio: ratio4,
    usage_8w_ratio: ratio8,
    usage_2w_ratio: meanRatio(meters, 2, 8),
    usage_life_ratio: meanRatio(meters, 4, Infinity),
    usage_decline_4w: ratio4 === null ? null : Math.max(0, 1 - ratio4),
    usage_decline_8w: ratio8 === null ? null : Math.max(0, 1 - ratio8),
    usage_drop_8w: meanDrop(meters, 4, 12),
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
 * Use a week in the last `recent` weeks against that in the weeks from there back to `until`, as far as the meter reaches,
 * as the mean over all meters. Null where none was in use then.
 */
function meanRatio(meters: readonly Meter[], recent: number, until: number): number | null {
  const ratios = meters.flatMap((meter) => {
    const { now, before } = weekly(meter, recent, until)
    return before > 0 ? [Math.min(RATIO_MAX, now / before)] : []
  })
  return meanOf(ratios)
}

/**
 * The share of the use a week that was lost, where one unit a week is taken for noise: who falls from two uses to one has
 * lost less of a habit than who falls from twenty to ten.
 */
function meanDrop(meters: readonly Meter[], recent: number, until: number): number | null {
  const drops = meters.flatMap((meter) => {
    const { now, before, weeks } = weekly(meter, recent, until)
    return weeks > 0 ? [Math.max(0, 1 - (now + 1) / (before + 1))] : []
  })
  return meanOf(drops)
}

/** Use a week of a meter in the last `recent` weeks, and in the `weeks` before them that it reaches back, at most to `until`. */
function weekly(meter: Meter, recent: number, until: number): { now: number; before: number; weeks: number } {
  const oldest = meter.reduce((most, { age }) => (age > most ? age : most), 0)
  const weeks = Math.max(0, Math.ceil(Math.min(until * 7, oldest) / 7) - recent)
  const now = sum(meter, 0, recent * 7) / recent
  return { now, before: weeks === 0 ? 0 : sum(meter, recent * 7, until * 7) / weeks, weeks }
}

const sum = (meter: Meter, from: number, to: number): number =>
  meter.reduce((total, { age, quantity }) => (age > from && age <= to ? total + quantity : total), 0)

const meanOf = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((total, value) => total + value, 0) / values.length
