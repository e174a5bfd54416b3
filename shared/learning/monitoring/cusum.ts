/**
 * Observed against expected churn on labels that have matured: a risk-adjusted CUSUM (Steiner, Cook, Farewell and Treasure,
 * Biostatistics 1, 2000) on the log-likelihood ratio of a shift in log-odds, up and down, over batches of a week. Its limit
 * is dynamic (Zhang and Woodall, Statistics in Medicine 34, 2015): the distribution of the statistic without drift is computed
 * for the actual predicted probabilities, and the limit of each batch has the same small probability of a false alarm. So the
 * mean time to a false alarm is known for each company, independent of its size and risk mix.
 */
import { binomialProbabilities } from "./distributions.ts"

/**
 * The shift to detect, in log-odds: 50 % more churns than expected at a low rate. The calibration check detects shifts below
 * half of it.
 */
export const SHIFT = 0.45

/** Mean number of weekly batches between false alarms of one side; for both sides together ten years. */
export const RUN_LENGTH_BATCHES = 1_043

/** Number and width of the cells of the statistic's distribution. Without drift, 12 is reached with probability e^-12. */
const CELLS = 481
const CELL = 0.025

/** The matured predictions of one batch, as sums without personal data. */
export interface Batch {
  readonly rows: number
  readonly events: number
  /** Sum of the probabilities, and of their squares. */
  readonly expected: number
  readonly squares: number
  /** Sums of log(1 + p (e^shift − 1)) for the shift up and down. */
  readonly logUp: number
  readonly logDown: number
}

/** One matured prediction. */
export interface MaturedPrediction {
  readonly probability: number
  readonly isChurned: boolean
}

/** The sums of a batch; the order of rows changes only rounding. Throws for probabilities outside 0 to 1. */
export function batchOf(rows: Iterable<MaturedPrediction>): Batch {
  const [up, down] = [Math.expm1(SHIFT), Math.expm1(-SHIFT)]
  const batch = { rows: 0, events: 0, expected: 0, squares: 0, logUp: 0, logDown: 0 }
  for (const { probability, isChurned } of rows) {
    if (!(probability >= 0 && probability <= 1)) throw new RangeError("expected a probability from 0 to 1")
    batch.rows += 1
    batch.events += isChurned ? 1 : 0
    batch.expected += probability
    batch.squares += probability * probability
    batch.logUp += Math.log1p(probability * up)
    batch.logDown += Math.log1p(probability * down)
  }
  return batch
}

/** One side of the chart after a batch. `limit` is always finite. */
export interface Side {
  readonly statistic: number
  readonly limit: number
  readonly isAbove: boolean
}

/** The chart after a batch: `up` detects more churn than predicted, `down` less. */
export interface ChartPoint {
  readonly up: Side
  readonly down: Side
}

/**
 * The chart over batches in order of time, one point each. After an alarm a side restarts. Empty batches have no effect.
 */
export function cusum(batches: readonly Batch[], runLengthBatches = RUN_LENGTH_BATCHES): ChartPoint[] {
  const up = chart(SHIFT, 1 / runLengthBatches)
  const down = chart(-SHIFT, 1 / runLengthBatches)
  return batches.map((batch) => ({ up: up(batch, batch.logUp), down: down(batch, batch.logDown) }))
}

function chart(shift: number, falseAlarm: number): (batch: Batch, logSum: number) => Side {
  let statistic = 0
  let cells = atZero()
  let last: Side = { statistic: 0, limit: 0, isAbove: false }
  return (batch, logSum) => {
    if (batch.rows === 0) return { ...last, isAbove: false }
    if (last.isAbove) {
      statistic = 0
      cells = atZero()
    }
    cells = distributionAfter(cells, batch, shift, logSum)
    statistic = Math.max(0, statistic + shift * batch.events - logSum)
    const cut = cutOf(cells, falseAlarm)
    const limit = cut * CELL
    last = { statistic, limit, isAbove: statistic > limit + CELL / 2 }
    cells = truncatedDistribution(cells, cut)
    return last
  }
}

const atZero = (): Float64Array => {
  const cells = new Float64Array(CELLS)
  cells[0] = 1
  return cells
}

/**
 * The distribution after a batch without drift. The number of churns, a sum of unequal probabilities, is approximated by the
 * binomial with the same mean and variance. A value between two cells is split over both, which keeps the mean.
 */
function distributionAfter(cells: Float64Array, batch: Batch, shift: number, logSum: number): Float64Array {
  const trials = batch.squares > 0 ? Math.max(1, Math.round(batch.expected ** 2 / batch.squares)) : 0
  const { first, chances } = binomialProbabilities(trials, trials === 0 ? 0 : batch.expected / trials)
  const next = new Float64Array(CELLS)
  for (let from = 0; from < CELLS; from++) {
    const mass = cells[from] ?? 0
    if (mass < 1e-15) continue
    for (let at = 0; at < chances.length; at++) {
      const share = mass * (chances[at] ?? 0)
      const place = Math.min(CELLS - 1, Math.max(0, from + (shift * (first + at) - logSum) / CELL))
      const low = Math.floor(place)
      next[low] = (next[low] ?? 0) + share * (low + 1 - place)
      if (low < place) next[low + 1] = (next[low + 1] ?? 0) + share * (place - low)
    }
  }
  return next
}

/** The lowest cell with at most `share` above it. */
function cutOf(cells: Float64Array, share: number): number {
  let above = 0
  for (let cell = CELLS - 1; cell > 0; cell--) {
    above += cells[cell] ?? 0
    if (above > share) return cell
  }
  return 0
}

/** The distribution conditional on staying below the limit. */
function truncatedDistribution(cells: Float64Array, cut: number): Float64Array {
  const kept = cells.slice()
  kept.fill(0, cut + 1)
  const sum = kept.reduce((total, mass) => total + mass, 0)
  return kept.map((mass) => mass / sum)
}
