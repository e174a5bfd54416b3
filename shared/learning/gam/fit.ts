/**
 * Penalised logistic regression by Newton's method, each penalty's weight chosen by the data: the generalized
 * Fellner–Schall update (Wood & Fasiolo 2017), which increases the restricted likelihood. A weight is a term's effective
 * degrees of freedom divided by its penalty, so that a line without signal becomes flat.
 */
import { factor, inverseBlock, invertLower, solve } from "./cholesky.ts"
import type { Design } from "./design.ts"

/** Bounds of penalty weights: the minimum keeps a separating term finite (deviation 10 in log-odds), the maximum is flat. */
const WEIGHT_MIN = 0.01
const WEIGHT_MAX = 1e7
const WEIGHT_START = 1
/** Shrinks "missing" to the mean with the weight of about four rows. */
const MISSING_WEIGHT = 1
const ITERATIONS_MAX = 40
/** The fit ends when no coefficient changes by more than this, in log-odds. */
const STEP_MIN = 1e-7
/** Penalty weights are fixed when their relative change is below this. */
const WEIGHT_STEP_MIN = 0.01
const HALVINGS_MAX = 12

/** Penalty for steps in the forbidden direction; makes them negligible, and the rest is removed at the end. */
const DIRECTION_WEIGHT = 1e6

/** The result of a fit: coefficients by column, and each block's effective degrees of freedom. */
export interface Fit {
  readonly coefficients: Float64Array
  readonly freedoms: readonly number[]
  /** Weights of all penalties, by block: a starting point for a fit of similar rows. */
  readonly weights: Float64Array
}

/** Fits outcomes (0 or 1). `start`: weights of a fit of similar rows. */
export function fitDesign(design: Design, outcomes: ArrayLike<number>, options: { start?: Float64Array } = {}): Fit {
  const { columns, rows } = design
  const penalties = design.blocks.flatMap((block) => block.penalties.map((penalty) => ({ block, penalty })))
  const weights =
    options.start?.length === penalties.length
      ? options.start.slice()
      : new Float64Array(penalties.length).fill(WEIGHT_START)
  let coefficients: Float64Array = new Float64Array(columns)
  let events = 0
  for (let row = 0; row < rows; row++) events += outcomes[row] ?? 0
  coefficients[0] = Math.log((events + 0.5) / (rows - events + 0.5))
  const freedoms = new Array<number>(design.blocks.length).fill(0)

  let penalty = penaltyMatrix(design, penalties, weights, coefficients)
  let current = lossOf(design, outcomes, coefficients, penalty)
  let areWeightsFixed = false
  const isDirected = design.blocks.some(({ direction }) => direction !== 0)
  for (let iteration = 0; iteration < ITERATIONS_MAX; iteration++) {
    const { hessian, gradient } = curvature(design, outcomes, coefficients, penalty)
    if (!factor(hessian, columns)) throw new Error("the scorecard's equations are not positive definite")
    const step = solve(hessian, columns, gradient)
    const moved = tryStep(design, outcomes, coefficients, step, penalty, current)
    coefficients = moved.coefficients
    current = moved.loss
    if (areWeightsFixed) {
      if (moved.size < STEP_MIN) break
      if (!isDirected) continue
      penalty = penaltyMatrix(design, penalties, weights, coefficients)
      current = lossOf(design, outcomes, coefficients, penalty)
      continue
    }
    const change = updateWeights(design, penalties, weights, coefficients, invertLower(hessian, columns), freedoms)
    areWeightsFixed = (change < WEIGHT_STEP_MIN && iteration > 2) || iteration > ITERATIONS_MAX - 10
    penalty = penaltyMatrix(design, penalties, weights, coefficients)
    current = lossOf(design, outcomes, coefficients, penalty)
  }
  for (const block of design.blocks) enforceDirection(block, coefficients)
  return { coefficients, freedoms, weights }
}

/** Removes remaining steps in the forbidden direction. */
function enforceDirection(
  { direction, start, size, centre }: Design["blocks"][number],
  coefficients: Float64Array,
): void {
  if (direction === 0 || centre === null) return
  for (let i = start + 1; i < start + size - 1; i++) {
    const [before, after] = [coefficients[i - 1] ?? 0, coefficients[i] ?? 0]
    coefficients[i] = direction * Math.max(direction * before, direction * after)
  }
}

type Penalties = readonly {
  readonly block: Design["blocks"][number]
  readonly penalty: { readonly matrix: Float64Array; readonly rank: number }
}[]

/** All penalties as one matrix over all columns. */
function penaltyMatrix(
  design: Design,
  penalties: Penalties,
  weights: Float64Array,
  coefficients: Float64Array,
): Float64Array {
  const { columns } = design
  const matrix = new Float64Array(columns * columns)
  matrix[0] = 1e-6 // nearly unpenalised; keeps the intercept finite with one outcome
  for (const { start, size, shape, centre, direction } of design.blocks) {
    if (shape === "line") matrix[(start + size - 1) * (columns + 1)] = MISSING_WEIGHT
    if (centre === null) continue
    // Only steps in the forbidden direction are penalised (Eilers 2005).
    for (let i = start; direction !== 0 && i + 1 < start + centre.length; i++) {
      if (direction * ((coefficients[i + 1] ?? 0) - (coefficients[i] ?? 0)) >= 0) continue
      for (const [a, b, sign] of [
        [i, i, 1],
        [i + 1, i + 1, 1],
        [i, i + 1, -1],
        [i + 1, i, -1],
      ] as const) {
        matrix[a * columns + b] = (matrix[a * columns + b] ?? 0) + sign * DIRECTION_WEIGHT
      }
    }
    for (let i = 0; i < centre.length; i++) {
      for (let j = 0; j < centre.length; j++) {
        const place = (start + i) * columns + start + j
        matrix[place] = (matrix[place] ?? 0) + design.rows * (centre[i] ?? 0) * (centre[j] ?? 0)
      }
      // Keeps the system positive definite for knots without nearby rows.
      matrix[(start + i) * (columns + 1)] = (matrix[(start + i) * (columns + 1)] ?? 0) + 1e-4
    }
  }
  penalties.forEach(({ block, penalty }, index) => {
    const size = Math.round(Math.sqrt(penalty.matrix.length))
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const place = (block.start + i) * columns + block.start + j
        matrix[place] = (matrix[place] ?? 0) + (weights[index] ?? 0) * (penalty.matrix[i * size + j] ?? 0)
      }
    }
  })
  return matrix
}

/** A Newton step, halved until the penalised loss does not increase. */
function tryStep(
  design: Design,
  outcomes: ArrayLike<number>,
  from: Float64Array,
  step: Float64Array,
  penalty: Float64Array,
  loss: number,
) {
  let scale = 1
  for (let halvings = 0; halvings < HALVINGS_MAX; halvings++) {
    const coefficients = from.map((value, i) => value + scale * (step[i] ?? 0))
    const next = lossOf(design, outcomes, coefficients, penalty)
    if (next <= loss + 1e-10 * Math.abs(loss)) {
      return {
        coefficients,
        loss: next,
        size: scale * step.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
      }
    }
    scale /= 2
  }
  return { coefficients: from, loss, size: 0 }
}

/** Updates each weight; returns the largest relative change of a relevant one. */
function updateWeights(
  design: Design,
  penalties: Penalties,
  weights: Float64Array,
  coefficients: Float64Array,
  inverse: Float64Array,
  freedoms: number[],
): number {
  const { columns } = design
  freedoms.fill(0)
  let change = 0
  const blocks = design.blocks.map(({ start, size }) => inverseBlock(inverse, columns, start, size))
  penalties.forEach(({ block, penalty }, index) => {
    const size = Math.round(Math.sqrt(penalty.matrix.length))
    const place = design.blocks.indexOf(block)
    let [trace, square] = [0, 0]
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        const entry = penalty.matrix[i * size + j] ?? 0
        if (entry === 0) continue
        trace += entry * (blocks[place]?.[i * block.size + j] ?? 0)
        square += entry * (coefficients[block.start + i] ?? 0) * (coefficients[block.start + j] ?? 0)
      }
    }
    const weight = weights[index] ?? WEIGHT_START
    const freedom = Math.max(1e-9, penalty.rank - weight * trace)
    const next = Math.min(WEIGHT_MAX, Math.max(WEIGHT_MIN, freedom / Math.max(square, 1e-12)))
    freedoms[place] = (freedoms[place] ?? 0) + freedom
    // The weight of a nearly flat term may keep growing without effect, so it is ignored.
    if (freedom > 0.02) change = Math.max(change, Math.abs(next / weight - 1))
    weights[index] = next
  })
  return change
}

/** Negative log-likelihood plus half the penalty. */
function lossOf(
  design: Design,
  outcomes: ArrayLike<number>,
  coefficients: Float64Array,
  penalty: Float64Array,
): number {
  const { rows, slots, places, weights, columns } = design
  let loss = 0
  for (let row = 0; row < rows; row++) {
    let logOdds = 0
    const end = (row + 1) * slots
    for (let at = row * slots; at < end; at++) logOdds += (weights[at] ?? 0) * (coefficients[places[at] ?? 0] ?? 0)
    const signed = outcomes[row] === 1 ? -logOdds : logOdds
    loss += signed > 30 ? signed : Math.log1p(Math.exp(signed))
  }
  let square = 0
  for (let i = 0; i < columns; i++) {
    const value = coefficients[i] ?? 0
    for (let j = 0; j < columns; j++) square += (penalty[i * columns + j] ?? 0) * value * (coefficients[j] ?? 0)
  }
  return loss + square / 2
}

/** Second derivatives (lower half) and negative gradient of the penalised loss. */
function curvature(design: Design, outcomes: ArrayLike<number>, coefficients: Float64Array, penalty: Float64Array) {
  const { rows, slots, places, weights, columns } = design
  const hessian = penalty.slice()
  const gradient = new Float64Array(columns)
  for (let i = 0; i < columns; i++) {
    let sum = 0
    for (let j = 0; j < columns; j++) sum += (penalty[i * columns + j] ?? 0) * (coefficients[j] ?? 0)
    gradient[i] = -sum
  }
  for (let row = 0; row < rows; row++) {
    const begin = row * slots
    const end = begin + slots
    let logOdds = 0
    for (let at = begin; at < end; at++) logOdds += (weights[at] ?? 0) * (coefficients[places[at] ?? 0] ?? 0)
    const probability = 1 / (1 + Math.exp(-logOdds))
    const residual = (outcomes[row] ?? 0) - probability
    const spread = Math.max(1e-9, probability * (1 - probability))
    for (let at = begin; at < end; at++) {
      const weight = weights[at] ?? 0
      if (weight === 0) continue
      const place = places[at] ?? 0
      gradient[place] = (gradient[place] ?? 0) + weight * residual
      const scaled = weight * spread
      const line = place * columns
      // A row's columns ascend, so the previous ones are in the lower half.
      for (let before = begin; before <= at; before++) {
        const column = line + (places[before] ?? 0)
        hessian[column] = (hessian[column] ?? 0) + scaled * (weights[before] ?? 0)
      }
    }
  }
  return { hessian, gradient }
}
