/**
 * Whether predicted probabilities are still calibrated: a line in log-odds (intercept and slope) fitted on matured labels and
 * compared with no correction, and the expected calibration error compared with its distribution by chance.
 */

import type { MaturedPrediction } from "./cusum.ts"
import { chiSquareQuantile, normalTails } from "./distributions.ts"
import { NO_DRIFT_QUANTILE } from "./psi.ts"

/** With fewer rows of either outcome the line is unreliable. */
export const CALIBRATION_EVENTS_MIN = 20

/** Bins of equal count, as in all calibration metrics here. */
const BINS = 10

/** Probabilities are clipped to this distance from 0 and 1, where log-odds are infinite. */
const CLIP = 1e-6

/** Newton steps; two parameters converge in less than ten. */
const STEPS_MAX = 25

/** Beyond this the fit diverges, because the score separates the labels completely. */
const COEFFICIENT_MAX = 20

export interface CalibrationDrift {
  readonly rows: number
  readonly events: number
  /** Sum of the predicted probabilities. */
  readonly expected: number
  /** Observed minus expected, in standard deviations under the predictions. */
  readonly z: number
  readonly pValue: number
  /** Log-odds observed = intercept + slope × log-odds predicted: 0 and 1 are perfect. */
  readonly intercept: number
  readonly slope: number
  /** Twice the gain in log-likelihood of that line; chi-square with two degrees of freedom without drift. */
  readonly statistic: number
  readonly limit: number
  readonly ece: number
  /** 99th percentile of the calibration error under perfect calibration. */
  readonly eceLimit: number
  /** Whether the statistic exceeds the limit. */
  readonly isAbove: boolean
}

/** The drift of calibration; null with fewer than 20 rows of either outcome, observed or expected. */
export function calibrationDrift(rows: readonly MaturedPrediction[]): CalibrationDrift | null {
  const events = rows.filter(({ isChurned }) => isChurned).length
  const expected = rows.reduce((sum, { probability }) => sum + probability, 0)
  const scarce = Math.min(events, rows.length - events, expected, rows.length - expected)
  if (scarce < CALIBRATION_EVENTS_MIN) return null
  const variance = rows.reduce((sum, { probability }) => sum + probability * (1 - probability), 0)
  const z = (events - expected) / Math.sqrt(variance)
  const line = recalibration(rows)
  const limit = chiSquareQuantile(NO_DRIFT_QUANTILE, 2)
  const statistic = 2 * (likelihood(rows, line) - likelihood(rows, { intercept: 0, slope: 1 }))
  return {
    ...{ rows: rows.length, events, expected, z, pValue: normalTails(z), ...line, statistic, limit },
    ...calibrationError(rows),
    isAbove: statistic > limit,
  }
}

export interface Line {
  readonly intercept: number
  readonly slope: number
}

/** Log-odds of a probability, finite at 0 and 1 too. */
export const logOdds = (probability: number): number => {
  const clipped = Math.min(1 - CLIP, Math.max(CLIP, probability))
  return Math.log(clipped / (1 - clipped))
}

/**
 * The maximum-likelihood line from predicted to observed log-odds, by Newton's method. `priorDeviation` is that of a normal
 * prior around 0 and 1 for small samples; by default there is no prior.
 */
export function recalibration(rows: readonly MaturedPrediction[], priorDeviation = Number.POSITIVE_INFINITY): Line {
  const weight = 1 / priorDeviation ** 2
  let [intercept, slope] = [0, 1]
  for (let step = 0; step < STEPS_MAX; step++) {
    let [g0, g1, h00, h01, h11] = [-weight * intercept, -weight * (slope - 1), weight, 0, weight]
    for (const { probability, isChurned } of rows) {
      const x = logOdds(probability)
      const p = 1 / (1 + Math.exp(-(intercept + slope * x)))
      const [error, spread] = [(isChurned ? 1 : 0) - p, p * (1 - p)]
      g0 += error
      g1 += error * x
      h00 += spread
      h01 += spread * x
      h11 += spread * x * x
    }
    const determinant = h00 * h11 - h01 * h01
    // With equal scores only the intercept can be estimated.
    if (!(determinant > 1e-9 * h00 * h11)) {
      const change = h00 > 0 ? g0 / h00 : 0
      intercept += Math.max(-2, Math.min(2, change))
      if (Math.abs(change) < 1e-9) break
      continue
    }
    const changes = [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant] as const
    // A full step can overshoot far from the optimum.
    const shrink = Math.min(1, 2 / Math.max(Math.abs(changes[0]), Math.abs(changes[1]), 1e-12))
    intercept += shrink * changes[0]
    slope += shrink * changes[1]
    if (Math.max(Math.abs(changes[0]), Math.abs(changes[1])) < 1e-9) break
    if (Math.abs(slope) > COEFFICIENT_MAX || Math.abs(intercept) > COEFFICIENT_MAX) break
  }
  return { intercept, slope }
}

function likelihood(rows: readonly MaturedPrediction[], { intercept, slope }: Line): number {
  return rows.reduce((sum, { probability, isChurned }) => {
    const x = intercept + slope * logOdds(probability)
    // log(1 + e^x) without overflow.
    return sum + (isChurned ? x : 0) - (Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))))
  }, 0)
}

/**
 * Expected calibration error over ten bins of equal count, and its 99th percentile under perfect calibration: each bin's gap
 * is then half-normal, and their sum close to normal.
 */
function calibrationError(rows: readonly MaturedPrediction[]): { readonly ece: number; readonly eceLimit: number } {
  const sorted = rows.toSorted((a, b) => a.probability - b.probability)
  let [gap, mean, variance] = [0, 0, 0]
  for (let bin = 0; bin < BINS; bin++) {
    const part = sorted.slice(Math.floor((bin * rows.length) / BINS), Math.floor(((bin + 1) * rows.length) / BINS))
    const chance = part.reduce((sum, { probability }) => sum + probability * (1 - probability), 0)
    gap += Math.abs(part.reduce((sum, { probability, isChurned }) => sum + (isChurned ? 1 : 0) - probability, 0))
    mean += Math.sqrt((2 / Math.PI) * chance)
    variance += (1 - 2 / Math.PI) * chance
  }
  // The sum is skewed to the right: its 99th percentile is 2.5 standard deviations above the mean, a normal's is 2.33.
  return { ece: gap / rows.length, eceLimit: (mean + 2.5 * Math.sqrt(variance)) / rows.length }
}
