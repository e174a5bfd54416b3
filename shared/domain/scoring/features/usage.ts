/**
 * Usage features: product usage relative to the customer's own past, so that logins and gigabytes are comparable. Each meter
 * is compared with itself; the mean over the meters counts.
 */
import type { Features } from "./schema.ts"
import { daysSince, factsOf, type LedgerView } from "./view.ts"

/** A cap: a customer with three times the previous usage is not safer than one with twice as much. */
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

/** One meter: usage per week, index 0 for the last seven days, and the ages of its records in days. */
interface Meter {
  readonly weeks: readonly number[]
  readonly oldest: number
  /** Age of the last record with a quantity above 0; null if there is none. */
  readonly lastUse: number | null
}

/** The usage features of a customer; all but `usage_known` are null if no usage was ever reported. */
export function usageFeatures(view: LedgerView): Usage {
  const meters = metersOf(view)
  const ratio4 = meanRatio(meters, 4, 8)
  const ratio8 = meanRatio(meters, 4, 12)
  const isKnown = meters.length > 0
  const uses = meters.flatMap(({ lastUse }) => (lastUse === null ? [] : [lastUse]))
  const isZero = (week: number) => meters.every(({ weeks }) => (weeks[week] ?? 0) === 0)
  const zeroWeeks = [0, 1, 2, 3].filter(isZero).length
  return {
    usage_known: Number(isKnown),
    usage_4w_ratio: ratio4,
    usage_8w_ratio: ratio8,
    usage_2w_ratio: meanRatio(meters, 2, 8),
    usage_life_ratio: meanRatio(meters, 4, Infinity),
    usage_decline_4w: ratio4 === null ? null : Math.max(0, 1 - ratio4),
    usage_decline_8w: ratio8 === null ? null : Math.max(0, 1 - ratio8),
    usage_drop_8w: meanDrop(meters, 4, 12),
    zero_usage_4w: isKnown ? Number(zeroWeeks === 4) : null,
    zero_usage_weeks: isKnown ? zeroWeeks : null,
    days_since_usage: !isKnown
      ? null
      : uses.length > 0
        ? Math.min(...uses)
        : Math.max(...meters.map(({ oldest }) => oldest)),
  }
}

/** The meters in order of their names, because floating-point sums depend on the order in the last bit. */
function metersOf(view: LedgerView): Meter[] {
  const byName = new Map<string, { weeks: number[]; oldest: number; lastUse: number | null }>()
  for (const fact of factsOf(view, "usage_recorded")) {
    let meter = byName.get(fact.meter)
    if (meter === undefined) {
      meter = { weeks: [], oldest: 0, lastUse: null }
      byName.set(fact.meter, meter)
    }
    const age = daysSince(view, fact.occurredAt)
    const quantity = Math.max(0, fact.quantity)
    const week = Math.ceil(age / 7) - 1
    meter.weeks[week] = (meter.weeks[week] ?? 0) + quantity
    meter.oldest = Math.max(meter.oldest, age)
    if (quantity > 0) meter.lastUse = Math.min(meter.lastUse ?? age, age)
  }
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, meter]) => meter)
}

/**
 * Weekly usage in the last `recent` weeks relative to the weeks before, back to `until` or the meter's first record; the mean
 * over all meters. Null if no meter was in use then.
 */
function meanRatio(meters: readonly Meter[], recent: number, until: number): number | null {
  const ratios = meters.flatMap((meter) => {
    const usage = weekly(meter, recent, until)
    return usage !== null && usage.before > 0 ? [Math.min(RATIO_MAX, usage.now / usage.before)] : []
  })
  return meanOf(ratios)
}

/**
 * The share of weekly usage that was lost, smoothed by one unit per week: a drop from two uses to one counts less than a drop
 * from twenty to ten.
 */
function meanDrop(meters: readonly Meter[], recent: number, until: number): number | null {
  const drops = meters.flatMap((meter) => {
    const usage = weekly(meter, recent, until)
    return usage === null ? [] : [Math.max(0, 1 - (usage.now + 1) / (usage.before + 1))]
  })
  return meanOf(drops)
}

/** Weekly usage in the last `recent` weeks and before them, back to `until` weeks; null for a meter that is not older. */
function weekly(meter: Meter, recent: number, until: number): { now: number; before: number } | null {
  const weeks = Math.ceil(Math.min(until * 7, meter.oldest) / 7) - recent
  if (weeks <= 0) return null
  return { now: sum(meter, 0, recent) / recent, before: sum(meter, recent, until) / weeks }
}

function sum({ weeks }: Meter, from: number, to: number): number {
  let total = 0
  for (let week = from; week < Math.min(to, weeks.length); week++) total += weeks[week] ?? 0
  return total
}

const meanOf = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((total, value) => total + value, 0) / values.length
