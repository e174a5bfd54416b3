/**
 * The columns of the scorecard's design: a number is a straight line between knots at its quantiles (a hat function for
 * each knot), a category a value for each level, a pair a value for each cell; what is missing has a value of its own. A
 * row touches at most two columns of a number and one of anything else, so that a fit costs little however many columns there are.
 */
import type { ModelFeature } from "../../scoring/artefact.ts"

/** Knots at most for one number: finer than what a few thousand customers can show. */
const KNOTS_MAX = 20
/** Columns at most: the fit's time grows with their third power. */
export const COLUMNS_MAX = 900
/** Outermost knots: beyond them the line is flat, so that an outlier pulls nothing. */
const TAIL = 0.005

/** A knot beyond this has no distance to others that could be squared. */
const VALUE_MAX = 1e100

/** A quadratic penalty on some of a term's values: `matrix` is square over them, of the given rank. */
export interface Penalty {
  readonly matrix: Float64Array
  readonly rank: number
}

/** Where a term's values stand among all columns; the last of them is the value of "missing" where there is one. */
export interface Block {
  readonly shape: "line" | "levels" | "grid"
  readonly inputs: readonly number[]
  readonly start: number
  readonly size: number
  /** Knots of a line; cuts of a grid's inputs. */
  readonly knots: readonly (readonly number[])[]
  readonly penalties: readonly Penalty[]
  /** Added with a large weight: keeps a line's mean at 0, which the intercept carries. */
  readonly centre: Float64Array | null
  /** Of a category its levels' places among the values; the rarest share one where there are too many. */
  readonly levelPlaces: Int32Array | null
  /** 1: a line never falls; -1: it never rises. */
  readonly direction: 0 | 1 | -1
}

/** Knots of a number at its quantiles, ascending and different; null where it has fewer than two values. */
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
  // Nearly all values are the same: the tails beyond the quantiles are all there is to tell apart.
  return knots.length > 1 ? knots : [least, sorted[sorted.length - 1] ?? least]
}

/** How many knots each number may have, so that all columns together stay within bounds. */
export function knotsMax(features: readonly ModelFeature[], columnsMax = COLUMNS_MAX): number {
  const levels = features.reduce(
    (sum, feature) => sum + (feature.type === "category" ? feature.levels.length + 1 : 0),
    1,
  )
  const numbers = Math.max(1, features.filter(({ type }) => type === "number").length)
  return Math.max(2, Math.min(KNOTS_MAX, Math.floor((columnsMax - Math.min(levels, columnsMax / 2)) / numbers) - 1))
}

/** The place among hats left of a value, and how far it is to the next: hat `cell` has 1 − `part`, hat `cell` + 1 has `part`. */
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
 * Penalties of a line: how much its slope changes from piece to piece, and how steep it is over all. Steps are measured half
 * in units of the number and half in its ranks: a long tail is neither all of the line nor none of it.
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

/** A ridge: every value is drawn to 0 alike. */
export function ridgePenalty(size: number): Penalty {
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) matrix[i * size + i] = 1
  return { matrix, rank: size }
}
