/** Comparison of a rate with its reference, such as the share of missing values of a feature. */
import { binomialProbabilities, normalQuantile } from "./distributions.ts"

/** The probability that an unchanged rate is reported as too high. */
const FALSE_ALARM = 0.01

/** Points for averaging over the reference's uncertainty: the midpoints of twenty equally likely parts. */
const PARTS = 20

export interface Rate {
  readonly rate: number
  readonly reference: number
  /** The highest share that the reference's rate gives by chance in 99 of 100 samples. */
  readonly limit: number
  readonly isAbove: boolean
}

/**
 * Compares `count` of `rows` with the reference: above its limit if an unchanged rate would exceed that count with a
 * probability below `falseAlarm`. The reference's uncertainty is averaged over (a beta distribution with Jeffreys prior,
 * approximated as a normal in log-odds in twenty equal parts). Null if either side has no rows.
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

/** The lowest count that is exceeded with at most this probability. */
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
