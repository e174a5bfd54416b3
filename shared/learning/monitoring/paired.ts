/** Two models on the same matured labels: which one predicts better, and is that more than chance. */
import { Random } from "../random.ts"
import { logOdds } from "./calibration-drift.ts"

/** One matured label with what both models had said of it. */
export interface Pair {
  /** Rows of one customer are drawn together: they are not independent. */
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
  /** Challenger less champion, below 0 is better; with its 95 % interval by bootstrap over customers. */
  readonly difference: number
  readonly low: number
  readonly high: number
}

/** Draws of the bootstrap; fewer for large samples, whose interval is plain sooner. */
const DRAWS_MAX = 1_000
const DRAWS_MIN = 200
/** Customers drawn in all: a tenth of a second. */
const WORK_MAX = 4_000_000

/** Log loss of one prediction; a probability of exactly 0 or 1 costs as much as one in a million. */
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
  const draws = Math.max(DRAWS_MIN, Math.min(DRAWS_MAX, Math.floor(WORK_MAX / groups.length)))
  const means = Float64Array.from({ length: draws }, () => {
    let [total, rows] = [0, 0]
    for (let drawn = 0; drawn < groups.length; drawn++) {
      const group = random.int(groups.length)
      total += differences[group] ?? 0
      rows += sizes[group] ?? 0
    }
    return total / rows
  }).sort()
  const quantile = (share: number): number => means[Math.min(draws - 1, Math.floor(share * draws))] ?? 0
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
