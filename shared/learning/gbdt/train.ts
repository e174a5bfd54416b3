/**
 * Gradient boosting of decision trees for log loss, on histograms: each tree takes one Newton step for the rows of its
 * leaves (Friedman 2001; Chen and Guestrin 2016; histograms, subtraction and ranked levels as in LightGBM, Ke et al. 2017).
 * The same rows in any order and the same seed give the same trees, bit for bit.
 */
import type { GbdtModel } from "../../scoring/model/artefact.ts"
import { canonicalRows } from "../data/canonical-rows.ts"
import type { Matrix } from "../data/matrix.ts"
import { CannotTrain } from "../training-error.ts"
import { type Binning, binRows, makeBinnings } from "./bins.ts"
import { type GrownNode, growTree, type Rows } from "./grow.ts"
import { completeOptions, type GbdtOptions } from "./options.ts"
import { packTrees } from "./pack.ts"

export type GbdtFit = {
  readonly model: GbdtModel
  /** Number of trees; with early stopping up to the lowest log loss. */
  readonly trees: number
  /** Mean log loss of the validation rows; null without validation. */
  readonly logLoss: number | null
  /** Raw log-odds of the training rows, in the given order. */
  readonly scores: Float64Array
}

/** A sample may allow no split; this many empty trees in succession mean that no split is left. */
const EMPTY_TREES_MAX = 10

/** Trains on a table and its labels (1 left, 0 stayed); throws CannotTrain if no model is possible. */
export function trainGbdt(matrix: Matrix, labels: ArrayLike<number>, given: Partial<GbdtOptions> = {}): GbdtFit {
  checkTable(matrix, labels)
  const options = completeOptions(matrix, given)
  const { order, hashes } = canonicalRows(matrix, labels)
  const binnings = makeBinnings(matrix, options.binsMax)
  const outcomes = Uint8Array.from(order, (row) => labels[row] ?? 0)
  const events = outcomes.reduce((sum, outcome) => sum + outcome, 0)
  if (events === 0 || events === matrix.rows) throw new CannotTrain("all rows have the same outcome")

  const base = Math.log(events / (matrix.rows - events))
  const validation = startValidation(options, binnings, base)
  const gradients = new Float64Array(matrix.rows)
  const hessians = new Float64Array(matrix.rows)
  const monotone = matrix.features.map(({ name }) => options.monotone[name] ?? 0)
  const rows: Rows = { binnings, binned: binRows(matrix, binnings, order), hashes, gradients, hessians, monotone }
  const scores = new Float64Array(matrix.rows).fill(base)
  const trees: GrownNode[][] = []
  let best = { trees: 0, logLoss: validation?.logLoss() ?? null, scores: scores.slice() }
  let empty = 0
  for (let tree = 0; tree < options.trees && empty < EMPTY_TREES_MAX; tree++) {
    for (let row = 0; row < scores.length; row++) {
      const probability = 1 / (1 + Math.exp(-(scores[row] ?? 0)))
      gradients[row] = probability - (outcomes[row] ?? 0)
      hessians[row] = probability * (1 - probability)
    }
    const grown = growTree(rows, options, tree)
    if (grown.length === 1) {
      empty++
      continue
    }
    empty = 0
    trees.push(grown)
    addTree(grown, rows.binned, scores, true)
    const logLoss = validation?.after(grown) ?? null
    if (logLoss !== null && logLoss < (best.logLoss ?? Number.POSITIVE_INFINITY)) {
      best = { trees: trees.length, logLoss, scores: scores.slice() }
    }
    options.onTree?.(trees.length, logLoss)
    if (validation !== null && trees.length - best.trees >= options.patience) break
  }
  if (validation === null) best = { trees: trees.length, logLoss: null, scores }
  const inGivenOrder = new Float64Array(matrix.rows)
  for (let place = 0; place < order.length; place++) inGivenOrder[order[place] ?? 0] = best.scores[place] ?? 0
  const model = packTrees(base, trees.slice(0, best.trees), matrix.features, binnings)
  return { model, trees: best.trees, logLoss: best.logLoss, scores: inGivenOrder }
}

function checkTable({ features, columns, rows }: Matrix, labels: ArrayLike<number>): void {
  if (rows === 0 || features.length === 0) throw new CannotTrain("there are no rows or no features to train on")
  if (columns.length !== features.length || columns.some((column) => column.length < rows) || labels.length < rows) {
    throw new CannotTrain("the table has not one value for each row and feature")
  }
  for (let row = 0; row < rows; row++) {
    if (labels[row] !== 0 && labels[row] !== 1) throw new CannotTrain("a label is neither 0 nor 1")
  }
}

/** Adds a tree's leaf values to the scores of all rows; with `counts`, also counts the rows of each node. */
function addTree(
  tree: readonly GrownNode[],
  binned: readonly Uint8Array[],
  scores: Float64Array,
  counts: boolean,
): void {
  const inputs = Int32Array.from(tree, ({ split }) => split?.input ?? -1)
  const lefts = Int32Array.from(tree, ({ left }) => left)
  const values = Float64Array.from(tree, ({ value }) => value)
  const tables = tree.map(({ split }) => split?.goesLeft ?? new Uint8Array(0))
  const covers = new Float64Array(tree.length)
  for (let row = 0; row < scores.length; row++) {
    let node = 0
    for (let input = inputs[0] ?? -1; input >= 0; input = inputs[node] ?? -1) {
      const left = lefts[node] ?? 0
      node = tables[node]?.[binned[input]?.[row] ?? 0] === 1 ? left : left + 1
    }
    scores[row] = (scores[row] ?? 0) + (values[node] ?? 0)
    covers[node] = (covers[node] ?? 0) + 1
  }
  if (!counts) return
  for (let at = tree.length - 1; at >= 0; at--) {
    const node = tree[at]
    if (node === undefined) continue
    if (node.left > 0) covers[at] = (covers[node.left] ?? 0) + (covers[node.left + 1] ?? 0)
    node.cover = covers[at] ?? 0
  }
}

type ValidationScores = { logLoss(): number; after(tree: readonly GrownNode[]): number }

/** Scores the validation rows tree by tree; null without validation rows. */
function startValidation(
  { validation }: GbdtOptions,
  binnings: readonly Binning[],
  base: number,
): ValidationScores | null {
  if (validation === null) return null
  const { matrix, labels } = validation
  if (matrix.columns.length !== binnings.length) throw new CannotTrain("the validation rows have other features")
  checkTable(matrix, labels)
  // Canonical order, because floating-point sums depend on the order of rows.
  const { order } = canonicalRows(matrix, labels)
  const binned = binRows(matrix, binnings, order)
  const scores = new Float64Array(matrix.rows).fill(base)
  const logLoss = (): number => {
    let sum = 0
    for (let row = 0; row < scores.length; row++) {
      const margin = (scores[row] ?? 0) * ((labels[order[row] ?? 0] ?? 0) === 1 ? 1 : -1)
      sum += margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin
    }
    return sum / scores.length
  }
  return {
    logLoss,
    after(tree) {
      addTree(tree, binned, scores, false)
      return logLoss()
    },
  }
}
