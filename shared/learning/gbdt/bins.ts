import type { Matrix } from "../data/matrix.ts"

/** The bins of one feature; the last bin is for missing values. */
export type Binning = {
  readonly isCategory: boolean
  /** Number of bins, including missing. */
  readonly bins: number
  /** For a number: the largest value of each bin except the last two. */
  readonly cuts: Float64Array
  /** For a category: the bin of each level; rare levels are in the missing bin. */
  readonly binOfLevel: Uint8Array
}

/** The most bins of values, so that a bin fits one byte with the missing bin. */
const VALUE_BINS_MAX = 255

/** The bins of each feature from the training rows: one per value if there are few values, else about equally filled. */
export function makeBinnings({ features, columns, rows }: Matrix, binsMax: number): Binning[] {
  return features.map((feature, input) => {
    const column = columns[input] ?? new Float64Array(0)
    return feature.type === "number"
      ? binNumber(column, rows, binsMax)
      : binCategory(column, rows, feature.levels.length)
  })
}

function binNumber(column: Float64Array, rows: number, binsMax: number): Binning {
  const present = column.subarray(0, rows).filter((value) => value - value === 0)
  present.sort()
  const values: number[] = []
  const counts: number[] = []
  for (let place = 0; place < present.length; place++) {
    const value = present[place] ?? 0
    if (place === 0 || value !== present[place - 1]) {
      values.push(value)
      counts.push(0)
    }
    counts[counts.length - 1] = (counts[counts.length - 1] ?? 0) + 1
  }
  const cuts: number[] = []
  let [rowsLeft, binsLeft, filled] = [present.length, binsMax, 0]
  for (let place = 0; place + 1 < values.length && binsLeft > 1; place++) {
    filled += counts[place] ?? 0
    // A value with many rows completes its bin; the remaining bins share the remaining rows evenly.
    const isFull = values.length <= binsMax || filled >= rowsLeft / binsLeft
    if (!isFull) continue
    cuts.push(between(values[place] ?? 0, values[place + 1] ?? 0))
    rowsLeft -= filled
    binsLeft--
    filled = 0
  }
  const bins = Math.min(cuts.length + 1, VALUE_BINS_MAX) + 1
  return { isCategory: false, bins, cuts: Float64Array.from(cuts), binOfLevel: new Uint8Array(0) }
}

/** The midpoint of two neighbours, always below the upper one, even without a double between them. */
function between(low: number, high: number): number {
  const middle = low / 2 + high / 2
  return middle >= low && middle < high ? middle : low
}

function binCategory(column: Float64Array, rows: number, levels: number): Binning {
  const counts = new Float64Array(levels)
  for (let row = 0; row < rows; row++) {
    const level = column[row] ?? Number.NaN
    if (level >= 0 && level < levels) counts[level] = (counts[level] ?? 0) + 1
  }
  const ranked = Array.from({ length: levels }, (_, level) => level)
  ranked.sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b)
  const own = Math.min(levels, VALUE_BINS_MAX)
  const binOfLevel = new Uint8Array(levels).fill(own)
  for (const [bin, level] of ranked.slice(0, own).entries()) binOfLevel[level] = bin
  return { isCategory: true, bins: own + 1, cuts: new Float64Array(0), binOfLevel }
}

/** The bin of each value, column by column, with rows in the given order. */
export function binRows(matrix: Matrix, binnings: readonly Binning[], order: Uint32Array): Uint8Array[] {
  return binnings.map(({ isCategory, bins, cuts, binOfLevel }, input) => {
    const column = matrix.columns[input] ?? new Float64Array(0)
    const binned = new Uint8Array(order.length)
    for (let place = 0; place < order.length; place++) {
      const value = column[order[place] ?? 0] ?? Number.NaN
      if (value - value !== 0) binned[place] = bins - 1
      else if (isCategory) binned[place] = binOfLevel[value] ?? bins - 1
      else {
        let low = 0
        let high = cuts.length
        while (low < high) {
          const middle = (low + high) >>> 1
          if ((cuts[middle] ?? 0) < value) low = middle + 1
          else high = middle
        }
        binned[place] = low
      }
    }
    return binned
  })
}
