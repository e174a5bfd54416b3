/** Compares two models on the same matured labels: which one predicts better, and whether that is significant. */
import { Random } from "../random.ts"
import { logOdds } from "./calibration-drift.ts"

/** One matured label with both models' predictions. */
export interface Pair {
  /** Rows of one customer are resampled together, because they are not independent. */
  readonly customer: string
  readonly isChurned: boolean
  readonly champion: number
  readonly challenger: number
}

export interface Comparison {
  readonly rows: number
  readonly events: number
  readonly championLogLoss: number
  readonly challengerLogLoss: number
  /** Challenger minus champion, below 0 is better; with its 95 % interval by bootstrap over customers. */
  readonly difference: number
  readonly low: number
  readonly high: number
}

/** Bootstrap samples; fewer for large data, to bound the time. */
const SAMPLES_MAX = 1_000
const SAMPLES_MIN = 200
/** Customers resampled in total; takes about 0.1 s. */
const WORK_MAX = 4_000_000

/** Log loss of one prediction; probabilities are clipped at one in a million. */
export function logLossOf(probability: number, isChurned: boolean): number {
  const x = logOdds(probability)
  return Math.log1p(Math.exp(isChurned ? -x : x))
}

/** The paired comparison; null without rows. The same seed and rows, in any order, give the same interval. */
export function comparePaired(pairs: readonly Pair[], seed: number): Comparison | null {
  if (pairs.length === 0) return null
  const groups = [...Map.groupBy(pairs, ({ customer }) => customer)].sort(([a], [b]) => (a < b ? -1 : 1))
  const differences = Float64Array.from(groups, ([, rows]) =>
    sumOf(rows, (row) => lossOf(row, "challenger") - lossOf(row, "champion")),
  )
  const sizes = Float64Array.from(groups, ([, rows]) => rows.length)
  const random = new Random(seed)
  const samples = Math.max(SAMPLES_MIN, Math.min(SAMPLES_MAX, Math.floor(WORK_MAX / groups.length)))
  const means = Float64Array.from({ length: samples }, () => {
    let [total, rows] = [0, 0]
    for (let count = 0; count < groups.length; count++) {
      const group = random.int(groups.length)
      total += differences[group] ?? 0
      rows += sizes[group] ?? 0
    }
    return total / rows
  }).sort()
  const quantile = (share: number): number => means[Math.min(samples - 1, Math.floor(share * samples))] ?? 0
  const mean = (name: "champion" | "challenger") => sumOf(pairs, (row) => lossOf(row, name)) / pairs.length
  const [championLogLoss, challengerLogLoss] = [mean("champion"), mean("challenger")]
  return {
    rows: pairs.length,
    events: pairs.filter(({ isChurned }) => isChurned).length,
    ...{ championLogLoss, challengerLogLoss, difference: challengerLogLoss - championLogLoss },
    ...{ low: quantile(0.025), high: quantile(0.975) },
  }
}

const lossOf = (row: Pair, name: "champion" | "challenger"): number => logLossOf(row[name], row.isChurned)

const sumOf = <Row>(rows: readonly Row[], value: (row: Row) => number): number =>
  rows.reduce((sum, row) => sum + value(row), 0)
