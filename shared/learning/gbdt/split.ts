import type { Binning } from "./bins.ts"
import type { GbdtOptions } from "./options.ts"

/** Sums over rows: first and second derivatives of the log loss, and the number of rows. */
export type GradientSums = { readonly gradient: number; readonly hessian: number; readonly rows: number }

/** A node's sums, and the bounds of its value. */
export type Region = GradientSums & {
  /** Bounds of its value, from splits above on monotone features. */
  readonly low: number
  readonly high: number
}

/** A split of a node's rows. */
export type Split = {
  readonly gain: number
  readonly input: number
  /** Which bins go left, including that of missing. */
  readonly goesLeft: Uint8Array
  /** Number: the last bin that goes left. Category: −1. */
  readonly lastLeft: number
  readonly missingLeft: boolean
  readonly left: Region
  readonly right: Region
}

/** A smaller gain is rounding. */
const GAIN_MIN = 1e-9
/** The most that one tree changes a row's log-odds, before the learning rate. */
const STEP_MAX = 20
/** A category with this few levels has no more possible splits than a number. */
const PLAIN_LEVELS_MAX = 4

/** The leaf value that minimises the log loss to second order (one Newton step), within the node's bounds. */
export function newtonStep(gradient: number, hessian: number, l2: number, low: number, high: number): number {
  const value = -gradient / (hessian + l2)
  return Math.min(Math.min(high, STEP_MAX), Math.max(Math.max(low, -STEP_MAX), value))
}

/** By how much a leaf value lowers twice the log loss, to second order. */
const reductionOf = (gradient: number, hessian: number, l2: number, value: number): number =>
  -(2 * gradient * value + (hessian + l2) * value * value)

/**
 * Levels without effect still differ by chance, and ranking separates those with more events: for k levels with normal scores
 * z, the best two sets differ by (Σ|z|)²/k, on average k·2/π. A split must gain more than that.
 */
const CHANCE_GAIN_PER_LEVEL = 2 / Math.PI

/** The input of the search for one feature's best split. */
export type Search = {
  readonly options: GbdtOptions
  readonly region: Region
  /** Three numbers per bin: sums of first and second derivatives, and rows. */
  readonly histogram: Float64Array
  /** The feature's first bin in the histogram. */
  readonly start: number
  readonly binning: Binning
  readonly input: number
  readonly monotone: number
  /** Only splits with a higher gain are returned. */
  readonly gainAbove: number
}

type Found = { gain: number; gradient: number; hessian: number; rows: number; place: number; missingLeft: boolean }

/** The best split of a node by one feature; null if none gains more than `gainAbove`. */
export function bestSplitBy(search: Search): Split | null {
  return search.binning.isCategory ? splitCategory(search) : splitNumber(search)
}

/**
 * Evaluates each split position in an order of bins. `rest` are rows that go to one side together: those with missing values
 * and of levels too rare to rank. If there are none, missing goes to the larger side.
 */
function scan(
  search: Search,
  order: ArrayLike<number>,
  rest: GradientSums,
  l2: number,
  chanceGain: number,
): Found | null {
  const { histogram, start, region, options, monotone } = search
  const { gradient, hessian, rows, low, high } = region
  const own = reductionOf(gradient, hessian, l2, newtonStep(gradient, hessian, l2, low, high))
  const least = Math.max(search.gainAbove, options.gainMin, GAIN_MIN)
  let found: Found | null = null
  for (const missingLeft of rest.rows > 0 ? [false, true] : [false]) {
    let leftGradient = missingLeft ? rest.gradient : 0
    let leftHessian = missingLeft ? rest.hessian : 0
    let leftRows = missingLeft ? rest.rows : 0
    for (let place = 0; place < order.length; place++) {
      const at = 3 * (start + (order[place] ?? 0))
      leftGradient += histogram[at] ?? 0
      leftHessian += histogram[at + 1] ?? 0
      leftRows += histogram[at + 2] ?? 0
      if (leftRows < options.childRowsMin || leftHessian < options.childWeightMin) continue
      const rightHessian = hessian - leftHessian
      const rightRows = rows - leftRows
      if (rightRows < options.childRowsMin || rightHessian < options.childWeightMin) break
      const rightGradient = gradient - leftGradient
      const leftValue = newtonStep(leftGradient, leftHessian, l2, low, high)
      const rightValue = newtonStep(rightGradient, rightHessian, l2, low, high)
      if (monotone * (rightValue - leftValue) < 0) continue
      const reduction =
        reductionOf(leftGradient, leftHessian, l2, leftValue) + reductionOf(rightGradient, rightHessian, l2, rightValue)
      const gain = reduction - own - chanceGain
      if (gain > least && (found === null || gain > found.gain)) {
        found = { gain, gradient: leftGradient, hessian: leftHessian, rows: leftRows, place, missingLeft }
      }
    }
  }
  if (found !== null && rest.rows === 0) found.missingLeft = 2 * found.rows >= rows
  return found
}

function splitNumber(search: Search): Split | null {
  const { binning, histogram, start, options } = search
  const missing = binning.bins - 1
  const order = Uint8Array.from({ length: missing }, (_, bin) => bin)
  const found = scan(search, order, sumsAt(histogram, start + missing), options.l2, 0)
  if (found === null) return null
  const goesLeft = new Uint8Array(binning.bins).fill(1, 0, found.place + 1)
  if (found.missingLeft) goesLeft[missing] = 1
  return toSplit(search, found, goesLeft, found.place, options.l2)
}

/** Ranks levels by their smoothed mean derivative, then splits as a number (Fisher 1958, as in LightGBM). */
function splitCategory(search: Search): Split | null {
  const { binning, histogram, start, options } = search
  const missing = binning.bins - 1
  const ranked: number[] = []
  let rest = sumsAt(histogram, start + missing)
  const ranks = new Float64Array(missing)
  for (let bin = 0; bin < missing; bin++) {
    const sums = sumsAt(histogram, start + bin)
    ranks[bin] = sums.gradient / (sums.hessian + options.levelSmoothing)
    if (sums.rows >= options.levelRowsMin) ranked.push(bin)
    else rest = add(rest, sums)
  }
  ranked.sort((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0) || a - b)
  const l2 = options.l2 + (missing > PLAIN_LEVELS_MAX ? options.levelL2 : 0)
  const chanceGain = options.levelLuck * CHANCE_GAIN_PER_LEVEL * Math.max(0, ranked.length - 2)
  const found = scan(search, ranked, rest, l2, chanceGain)
  if (found === null) return null
  const goesLeft = new Uint8Array(binning.bins).fill(found.missingLeft ? 1 : 0)
  for (const [place, bin] of ranked.entries()) goesLeft[bin] = place <= found.place ? 1 : 0
  return toSplit(search, found, goesLeft, -1, l2)
}

function toSplit(search: Search, found: Found, goesLeft: Uint8Array, lastLeft: number, l2: number): Split {
  const { region, monotone, input } = search
  const { low, high } = region
  const { gain, gradient, hessian, rows, missingLeft } = found
  const right = { gradient: region.gradient - gradient, hessian: region.hessian - hessian, rows: region.rows - rows }
  let [leftHigh, rightLow, leftLow, rightHigh] = [high, low, low, high]
  if (monotone !== 0) {
    // The midpoint bounds both sides, so that later splits cannot violate the direction.
    const leftValue = newtonStep(gradient, hessian, l2, low, high)
    const middle = (leftValue + newtonStep(right.gradient, right.hessian, l2, low, high)) / 2
    if (monotone > 0) [leftHigh, rightLow] = [middle, middle]
    else [leftLow, rightHigh] = [middle, middle]
  }
  return {
    gain,
    input,
    goesLeft,
    lastLeft,
    missingLeft,
    left: { gradient, hessian, rows, low: leftLow, high: leftHigh },
    right: { ...right, low: rightLow, high: rightHigh },
  }
}

function sumsAt(histogram: Float64Array, bin: number): GradientSums {
  const [gradient = 0, hessian = 0, rows = 0] = histogram.subarray(3 * bin, 3 * bin + 3)
  return { gradient, hessian, rows }
}

const add = (a: GradientSums, b: GradientSums): GradientSums => {
  return { gradient: a.gradient + b.gradient, hessian: a.hessian + b.hessian, rows: a.rows + b.rows }
}
