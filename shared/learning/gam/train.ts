/** Trains a scorecard and returns it in the artefact's format. */
import type { GamModel, GamTerm } from "../../scoring/model/artefact.ts"
import type { Matrix } from "../data/matrix.ts"
import type { Block } from "./basis.ts"
import { buildDesign, type Directions, designOf, type Pair } from "./design.ts"
import { type Fit, fitDesign } from "./fit.ts"
import { strongestInputs } from "./select-inputs.ts"

/** The most inputs with a term: with more, at three columns each, a fit would take minutes. */
const INPUTS_MAX = 250

export interface TrainedGam {
  readonly model: GamModel
  /** The chosen penalty weights: a starting point for a fit of similar rows. */
  readonly weights: Float64Array
}

/**
 * Fits a logistic scorecard to outcomes (0 or 1; both must occur): lines for numbers, values for levels, and a grid for each
 * pair. Deterministic; the order of rows changes only rounding.
 */
export function trainGam(
  matrix: Matrix,
  outcomes: Uint8Array,
  options: {
    readonly pairs?: readonly Pair[]
    readonly start?: Float64Array
    readonly monotone?: Directions
    /** Limits columns and thereby knots: the time grows with their third power. */
    readonly columnsMax?: number | undefined
  } = {},
): TrainedGam {
  const blocks = buildDesign(
    matrix,
    options.pairs ?? [],
    options.monotone ?? {},
    strongestInputs(matrix, outcomes, INPUTS_MAX),
    options.columnsMax,
  )
  const design = designOf(matrix, blocks)
  const fit = fitDesign(design, outcomes, options.start === undefined ? {} : { start: options.start })
  const sums = new Float64Array(blocks.length)
  let slot = 1
  blocks.forEach((block, index) => {
    const width = block.shape === "line" ? 2 : 1
    for (let row = 0; row < design.rows; row++) {
      for (let at = row * design.slots + slot; at < row * design.slots + slot + width; at++) {
        sums[index] = (sums[index] ?? 0) + (design.weights[at] ?? 0) * (fit.coefficients[design.places[at] ?? 0] ?? 0)
      }
    }
    slot += width
  })
  const model: GamModel = {
    kind: "gam",
    intercept: fit.coefficients[0] ?? 0,
    terms: blocks.map((block) => termOf(block, fit)),
    means: [...sums].map((sum) => sum / Math.max(1, matrix.rows)),
  }
  return { model, weights: fit.weights }
}

function termOf({ shape, inputs, start, size, knots, levelPlaces }: Block, { coefficients }: Fit): GamTerm {
  const values = [...coefficients.subarray(start, start + size)]
  const [first = 0, second = 0] = inputs
  const [cutsA = [], cutsB = []] = knots
  if (shape === "grid") return { shape, inputs: [first, second], cuts: [[...cutsA], [...cutsB]], values }
  const missing = values.pop() ?? 0
  if (shape === "line") return { shape, input: first, knots: [...cutsA], values, missing }
  return { shape, input: first, values: Array.from(levelPlaces ?? [], (place) => values[place] ?? 0), missing }
}
