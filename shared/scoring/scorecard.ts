/** The scorecard: a sum of terms, each a function of one input or of a pair. */
import type { GamModel, GamTerm, ModelFeature } from "./artefact.ts"
import { LOG_ODDS_MAX } from "./forest.ts"
import { hold } from "./invalid-artefact.ts"

type Line = {
  readonly shape: "line"
  readonly input: number
  readonly knots: Float64Array
  readonly values: Float64Array
  readonly slopes: Float64Array
  readonly missing: number
}
type Levels = {
  readonly shape: "levels"
  readonly input: number
  readonly values: Float64Array
  readonly missing: number
}
/** Of each input its cuts and the number of its cells; a category has no cuts, its cells are its levels. */
type Axis = { readonly input: number; readonly cuts: Float64Array | null; readonly cells: number }
type Grid = { readonly shape: "grid"; readonly axes: readonly [Axis, Axis]; readonly values: Float64Array }
type Term = Line | Levels | Grid

export type Scorecard = {
  readonly intercept: number
  readonly terms: readonly Term[]
  readonly means: readonly number[]
  /** Intercept and the means of all terms: the mean log-odds of the training rows. */
  readonly expected: number
}

/** The scorecard ready to be read; throws InvalidArtefact when it does not hold together. */
export function prepareScorecard(model: GamModel, features: readonly ModelFeature[]): Scorecard {
  hold(model.means.length === model.terms.length, "a scorecard has not one mean for each term")
  const numbers = [model.intercept, ...model.means]
  hold(
    numbers.every((number) => Math.abs(number) <= LOG_ODDS_MAX),
    "a mean is out of range",
  )
  const terms = model.terms.map((term) => prepareTerm(term, features))
  const expected = model.means.reduce((sum, mean) => sum + mean, model.intercept)
  return { intercept: model.intercept, terms, means: model.means, expected }
}

function prepareTerm(term: GamTerm, features: readonly ModelFeature[]): Term {
  const values = Float64Array.from(term.values)
  const missing = "missing" in term ? term.missing : 0
  hold(
    Math.abs(missing) <= LOG_ODDS_MAX && term.values.every((v) => Math.abs(v) <= LOG_ODDS_MAX),
    "a term is out of range",
  )
  if (term.shape === "grid") {
    const [first, second] = [0, 1].map((side) => prepareAxis(term.inputs[side] ?? 0, term.cuts[side] ?? [], features))
    hold(first !== undefined && second !== undefined, "a grid has not two inputs")
    hold(values.length === (first.cells + 1) * (second.cells + 1), "a grid has not a value for each cell")
    return { shape: "grid", axes: [first, second], values }
  }
  const feature = features[term.input]
  hold(feature !== undefined, "a term asks for an input that is not there")
  if (term.shape === "levels") {
    hold(
      feature.type === "category" && values.length === feature.levels.length,
      "a term has not a value for each level",
    )
    return { shape: "levels", input: term.input, values, missing }
  }
  const knots = Float64Array.from(term.knots)
  hold(feature.type === "number" && knots.length === values.length && isAscending(knots), "a line's knots do not fit")
  const slopes = Float64Array.from(knots.subarray(1), (knot, place) => {
    return ((values[place + 1] ?? 0) - (values[place] ?? 0)) / (knot - (knots[place] ?? 0))
  })
  hold(slopes.every(Number.isFinite), "a line is too steep")
  return { shape: "line", input: term.input, knots, values, slopes, missing }
}

function prepareAxis(input: number, cuts: readonly number[], features: readonly ModelFeature[]): Axis {
  const feature = features[input]
  hold(feature !== undefined, "a grid asks for an input that is not there")
  if (feature.type === "number") {
    hold(isAscending(cuts), "a grid's cuts are not ascending")
    return { input, cuts: Float64Array.from(cuts), cells: cuts.length + 1 }
  }
  hold(cuts.length === 0, "a grid cuts a category")
  return { input, cuts: null, cells: feature.levels.length }
}

/** Strictly ascending and finite, differences too. */
function isAscending(numbers: ArrayLike<number>): boolean {
  for (let place = 1; place < numbers.length; place++) {
    if (!((numbers[place] ?? 0) > (numbers[place - 1] ?? 0))) return false
  }
  return Number.isFinite((numbers[numbers.length - 1] ?? 0) - (numbers[0] ?? 0))
}

/** How many of the ascending numbers are below the value: the cell in which a value lies, a cut belonging to its left. */
export function countBelow(ascending: Float64Array, value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

function lineAt({ knots, values, slopes, missing }: Line, value: number): number {
  if (value - value !== 0) return missing
  const place = countBelow(knots, value)
  if (place === 0) return values[0] ?? 0
  if (place === knots.length) return values[place - 1] ?? 0
  return (values[place - 1] ?? 0) + (value - (knots[place - 1] ?? 0)) * (slopes[place - 1] ?? 0)
}

const isLevel = (value: number, levels: number): boolean => Number.isInteger(value) && value >= 0 && value < levels

function cellOf({ cuts, cells }: Axis, value: number): number {
  if (cuts === null) return isLevel(value, cells) ? value : cells
  return value - value === 0 ? countBelow(cuts, value) : cells
}

function gridAt({ axes: [first, second], values }: Grid, one: number, other: number): number {
  return values[cellOf(first, one) * (second.cells + 1) + cellOf(second, other)] ?? 0
}

/** The value of one term for a row whose values `at` hands out by input. */
function termAt(term: Term, row: Float64Array): number {
  switch (term.shape) {
    case "line":
      return lineAt(term, row[term.input] ?? Number.NaN)
    case "levels": {
      const value = row[term.input] ?? Number.NaN
      return isLevel(value, term.values.length) ? (term.values[value] ?? 0) : term.missing
    }
    case "grid":
      return gridAt(term, row[term.axes[0].input] ?? Number.NaN, row[term.axes[1].input] ?? Number.NaN)
  }
}

/** Log-odds of one row. */
export function rawOfScorecard(scorecard: Scorecard, row: Float64Array): number {
  let sum = scorecard.intercept
  for (const term of scorecard.terms) sum += termAt(term, row)
  return sum
}

/** Adds to each input what its terms give a row beyond their means; a grid gives half to each of its two inputs. */
export function explainScorecard(scorecard: Scorecard, row: Float64Array, weight: number, into: Float64Array): void {
  for (const [place, term] of scorecard.terms.entries()) {
    const part = weight * (termAt(term, row) - (scorecard.means[place] ?? 0))
    const inputs = term.shape === "grid" ? term.axes.map(({ input }) => input) : [term.input]
    for (const input of inputs) into[input] = (into[input] ?? 0) + part / inputs.length
  }
}

/** Log-odds of many rows, each the same bits as from `rawOfScorecard`: term by term, as columns lie in memory. */
export function rawOfScorecardMany(scorecard: Scorecard, columns: readonly Float64Array[], rows: number): Float64Array {
  const sums = new Float64Array(rows).fill(scorecard.intercept)
  const none = new Float64Array(rows).fill(Number.NaN)
  for (let start = 0; start < rows; start += BLOCK_ROWS) {
    const end = Math.min(rows, start + BLOCK_ROWS)
    for (const term of scorecard.terms) {
      if (term.shape === "grid") {
        const [first, second] = term.axes.map(({ input }) => columns[input] ?? none)
        for (let row = start; row < end; row++) {
          sums[row] = (sums[row] ?? 0) + gridAt(term, first?.[row] ?? Number.NaN, second?.[row] ?? Number.NaN)
        }
      } else if (term.shape === "levels") {
        addLevels(term, columns[term.input] ?? none, sums, start, end)
      } else if (term.knots.length === 2) {
        addSlope(term, columns[term.input] ?? none, sums, start, end)
      } else {
        const column = columns[term.input] ?? none
        for (let row = start; row < end; row++) sums[row] = (sums[row] ?? 0) + lineAt(term, column[row] ?? Number.NaN)
      }
    }
  }
  return sums
}

/** The sums of so many rows stay in the processor's nearest cache while all terms pass over them. */
const BLOCK_ROWS = 1_024

function addLevels({ values, missing }: Levels, column: Float64Array, sums: Float64Array, start: number, end: number) {
  for (let row = start; row < end; row++) {
    const value = column[row] ?? Number.NaN
    sums[row] = (sums[row] ?? 0) + (isLevel(value, values.length) ? (values[value] ?? 0) : missing)
  }
}

/** One straight line, the most frequent term: no search. */
function addSlope(line: Line, column: Float64Array, sums: Float64Array, start: number, end: number): void {
  const [low = 0, high = 0] = line.knots
  const [atLow = 0, atHigh = 0] = line.values
  const slope = line.slopes[0] ?? 0
  const missing = line.missing
  for (let row = start; row < end; row++) {
    const value = column[row] ?? Number.NaN
    let term = atLow + (value - low) * slope
    if (value <= low) term = atLow
    if (value > high) term = atHigh
    sums[row] = (sums[row] ?? 0) + (value - value === 0 ? term : missing)
  }
}
