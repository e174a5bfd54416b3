/** The reference for later data: distributions of features, scores and outcomes over the training rows. */
import type { Artefact } from "../../scoring/model/artefact.ts"
import { countBelow } from "../../scoring/model/scorecard.ts"
import type { Matrix } from "../data/matrix.ts"

type Training = Artefact["training"]

const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
/** Bins of similar scores for intervals: large enough for a rate, small enough to be homogeneous. */
const BINS_MAX = 20
const BIN_ROWS_MIN = 100
/** Digits of a cut: more would only make the artefact larger. */
const DIGITS = 6

const short = (value: number): number => Number(value.toPrecision(DIGITS))

/** Distinct deciles, ascending. A value equal to a cut belongs below it. */
function decilesOf(values: Float64Array): number[] {
  const sorted = values.filter(Number.isFinite).sort()
  const cuts: number[] = []
  for (const share of SHARES) {
    const cut = sorted[Math.ceil(share * sorted.length) - 1]
    if (cut !== undefined && cut > (cuts[cuts.length - 1] ?? Number.NEGATIVE_INFINITY)) cuts.push(cut)
  }
  // A last cut equal to the largest value separates nothing.
  if (cuts.length > 1 && cuts[cuts.length - 1] === sorted[sorted.length - 1]) cuts.pop()
  return cuts
}

/** Share of all rows in each bin between cuts. */
function sharesOf(values: Float64Array, cuts: readonly number[]): number[] {
  const ascending = Float64Array.from(cuts)
  const counts = new Array<number>(cuts.length + 1).fill(0)
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    const bin = countBelow(ascending, value)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return counts.map((count) => short(count / Math.max(1, values.length)))
}

/** Per feature: share of rows without a value, and of all rows in each bin or level. */
export function referenceOf({ features, columns, rows }: Matrix): Training["reference"] {
  return features.map((feature, input) => {
    const column = (columns[input] ?? new Float64Array(0)).subarray(0, rows)
    const missing = short(column.reduce((sum, value) => sum + Number(!Number.isFinite(value)), 0) / Math.max(1, rows))
    if (feature.type === "number") {
      const cuts = decilesOf(column)
      return { missing, cuts, shares: sharesOf(column, cuts) }
    }
    const counts = feature.levels.map(() => 0)
    for (const place of column) if (Number.isFinite(place)) counts[place] = (counts[place] ?? 0) + 1
    return { missing, shares: counts.map((count) => short(count / Math.max(1, rows))) }
  })
}

/** Ten equally filled bins of the score: cuts in probability and shares. */
export function scoreReferenceOf(probabilities: Float64Array): Training["scoreReference"] {
  const cuts = decilesOf(probabilities)
  return { cuts, shares: sharesOf(probabilities, cuts) }
}

/** Rows and events by score, out of fold, in equally filled bins; rows with the same score are in one bin. */
export function confidenceOf(probabilities: Float64Array, outcomes: Uint8Array): Artefact["confidence"] {
  const order = Uint32Array.from(probabilities, (_, row) => row)
  order.sort((a, b) => (probabilities[a] ?? 0) - (probabilities[b] ?? 0))
  const size = Math.max(BIN_ROWS_MIN, Math.ceil(order.length / BINS_MAX))
  const bins: { upTo: number; rows: number; events: number }[] = []
  let [rows, events] = [0, 0]
  for (let i = 0; i < order.length; i++) {
    const probability = probabilities[order[i] ?? 0] ?? 0
    rows += 1
    events += outcomes[order[i] ?? 0] ?? 0
    const isLast = i === order.length - 1
    const isEnd =
      isLast || (rows >= size && order.length - i > size && (probabilities[order[i + 1] ?? 0] ?? 0) > probability)
    if (!isEnd) continue
    bins.push({ upTo: isLast ? 1 : probability, rows, events })
    rows = events = 0
  }
  return bins
}
