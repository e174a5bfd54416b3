/**
 * The columns of the scorecard's design matrix: a number is piecewise linear between knots at its quantiles (a hat function
 * per knot), a category has a value per level, a pair a value per cell; missing has a separate value. A row has at most two
 * non-zero columns per number and one per other term, so that the cost of a fit hardly grows with the number of columns.
 */
import type { ModelFeature } from "../../scoring/model/artefact.ts"

/** The most knots of a number: finer than a few thousand customers can support. */
const KNOTS_MAX = 20
/** The most columns: the time of a fit grows with their third power. */
export const COLUMNS_MAX = 900
/** Quantile of the outermost knots: the line is flat beyond them, so that outliers have no influence. */
const TAIL = 0.005

/** Beyond this, squared distances between knots would overflow. */
const VALUE_MAX = 1e100

/** A quadratic penalty on some of a term's values: `matrix` is square over them, of the given rank. */
export interface Penalty {
  readonly matrix: Float64Array
  readonly rank: number
}

/** A term's columns; the last one is the value of "missing", if there is one. */
export interface Block {
  readonly shape: "line" | "levels" | "grid"
  readonly inputs: readonly number[]
  readonly start: number
  readonly size: number
  /** Knots of a line; cuts of a grid's inputs. */
  readonly knots: readonly (readonly number[])[]
  readonly penalties: readonly Penalty[]
  /** Added with a large weight: keeps a line's mean at 0, because the intercept contains the mean. */
  readonly centre: Float64Array | null
  /** Index of each level's value; the rarest levels share one if there are too many. */
  readonly levelPlaces: Int32Array | null
  /** 1: a line never falls; -1: it never rises. */
  readonly direction: 0 | 1 | -1
}

/** Distinct ascending knots at a number's quantiles; null if it has fewer than two values. */
export function knotsOf(column: Float64Array, most: number): number[] | null {
  const sorted = column.filter((value) => Math.abs(value) <= VALUE_MAX).sort()
  const knots: number[] = []
  const least = sorted[0]
  if (least === undefined || least === sorted[sorted.length - 1]) return null
  for (let i = 0; i < most; i++) {
    const share = TAIL + ((1 - 2 * TAIL) * i) / (most - 1)
    const knot = sorted[Math.round(share * (sorted.length - 1))] ?? least
    if (knots.length === 0 || knot > (knots[knots.length - 1] ?? 0)) knots.push(knot)
  }
  // If nearly all values are equal, the extremes are the only other knots.
  return knots.length > 1 ? knots : [least, sorted[sorted.length - 1] ?? least]
}

/** The most knots per number that keep all columns within the bound. */
export function knotsMax(features: readonly ModelFeature[], columnsMax = COLUMNS_MAX): number {
  const levels = features.reduce(
    (sum, feature) => sum + (feature.type === "category" ? feature.levels.length + 1 : 0),
    1,
  )
  const numbers = Math.max(1, features.filter(({ type }) => type === "number").length)
  return Math.max(2, Math.min(KNOTS_MAX, Math.floor((columnsMax - Math.min(levels, columnsMax / 2)) / numbers) - 1))
}

/** The position of a value between knots: hat function `cell` has the weight 1 − `part`, `cell` + 1 has `part`. */
export function hatPosition(knots: readonly number[], value: number): { readonly cell: number; readonly part: number } {
  const last = knots.length - 1
  if (value <= (knots[0] ?? 0)) return { cell: 0, part: 0 }
  if (value >= (knots[last] ?? 0)) return { cell: Math.max(0, last - 1), part: last > 0 ? 1 : 0 }
  let [low, high] = [0, last]
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((knots[middle] ?? 0) <= value) low = middle
    else high = middle
  }
  const [left, right] = [knots[low] ?? 0, knots[low + 1] ?? 1]
  return { cell: low, part: (value - left) / (right - left) }
}

/**
 * Penalties of a line: the change of its slope between pieces, and its overall slope. Distances are averaged between the
 * number's units and its ranks, so that a long tail has neither all nor none of the influence.
 */
export function linePenalties(knots: readonly number[]): Penalty[] {
  const size = knots.length
  const range = (knots[size - 1] ?? 1) - (knots[0] ?? 0)
  const steps = knots.slice(1).map((knot, i) => ((knot - (knots[i] ?? 0)) / range + 1 / (size - 1)) / 2)
  const penalties: Penalty[] = []
  const slope = new Float64Array(size * size)
  addSquare(slope, size, [
    [0, -1],
    [size - 1, 1],
  ])
  penalties.push({ matrix: slope, rank: 1 })
  if (size > 2) {
    const curve = new Float64Array(size * size)
    for (let i = 1; i < size - 1; i++) {
      const [before, after] = [steps[i - 1] ?? 1, steps[i] ?? 1]
      const weight = Math.sqrt((before + after) / 2) // the integral of the squared second derivative
      const scale = weight / ((before + after) / 2)
      addSquare(curve, size, [
        [i - 1, scale / before],
        [i, -scale / before - scale / after],
        [i + 1, scale / after],
      ])
    }
    penalties.push({ matrix: curve, rank: size - 2 })
  }
  return penalties
}

/** Adds the square of a linear form. */
function addSquare(matrix: Float64Array, size: number, form: readonly (readonly [number, number])[]): void {
  for (const [i, a] of form) for (const [j, b] of form) matrix[i * size + j] = (matrix[i * size + j] ?? 0) + a * b
}

/** A ridge penalty: shrinks every value to 0. */
export function ridgePenalty(size: number): Penalty {
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1
  return { matrix, rank: size }
}
