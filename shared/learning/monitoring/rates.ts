/** Rates that should stay what they were: missing values of a feature, scores that grew old, labels that are late. */
import { binomialProbabilities, normalQuantile } from "./distributions.ts"

/** The chance that an unchanged rate is called too high. */
const FALSE_ALARM = 0.01

/** Chances at which the reference's own uncertainty is averaged: the middle of twenty equally likely parts. */
const PARTS = 20

export interface Rate {
  readonly rate: number
  readonly reference: number
  /** The highest count that chance makes of the reference's rate in 99 samples of a hundred, as a share. */
  readonly limit: number
  readonly isAbove: boolean
}

/**
 * `count` of `rows` against `referenceCount` of `referenceRows`: above its limit when an unchanged rate would reach that
 * count in less than one sample of a hundred (`falseAlarm`). What the reference itself leaves open is averaged over (a beta of Jeffreys's prior, as
 * a normal in log-odds cut into twenty equal parts). Null when either side has no rows.
 */
export function compareRate(
  { count, rows }: { readonly count: number; readonly rows: number },
  reference: { readonly count: number; readonly rows: number },
  falseAlarm = FALSE_ALARM,
): Rate | null {
  if (rows === 0 || reference.rows === 0) return null
  const limit = limitOf(rows, possibleRates(reference.count, reference.rows), falseAlarm)
  const share = reference.count / reference.rows
  return { rate: count / rows, reference: share, limit: limit / rows, isAbove: count > limit }
}

/** The lowest count that is exceeded with this chance at most. */
function limitOf(rows: number, rates: readonly number[], falseAlarm: number): number {
  const parts = rates.map((rate) => binomialProbabilities(rows, rate))
  let [above, limit] = [0, rows]
  while (limit > 0) {
    const reached = parts.reduce((sum, { first, chances }) => sum + (chances[limit - first] ?? 0), 0) / rates.length
    if (above + reached > falseAlarm) break
    above += reached
    limit -= 1
  }
  return limit
}

/** Equally likely values of the rate behind a count. */
function possibleRates(count: number, rows: number): number[] {
  const [a, b] = [count + 0.5, rows - count + 0.5]
  const [centre, deviation] = [Math.log(a / b), Math.sqrt(1 / a + 1 / b)]
  return Array.from({ length: PARTS }, (_, part) => {
    return 1 / (1 + Math.exp(-(centre + deviation * normalQuantile((part + 0.5) / PARTS))))
  })
}
