/**
 * Exact Shapley values of trees, path-dependent: a feature that is not known sends a row both ways, in the shares of the
 * training rows. The algorithm is TreeSHAP (Lundberg, Erion, Lee: "Consistent individualized feature attribution for tree
 * ensembles", algorithm 2): a walk over all leaves that carries, for the features of the path, the weights of all subsets
 * by size. Its cost per tree is leaves × depth².
 */
import { type Forest, goesLeftSlowly, LEAF } from "./forest.ts"

/** Adds `weight` × the Shapley value of each input to `into`; the row holds no infinity. */
export function explainForest(forest: Forest, row: Float64Array, weight: number, into: Float64Array): void {
  // Each level of the walk has a copy of its path: levels of 1, 2, … entries, one after the other.
  const levels = forest.depth + 2
  const entries = (levels * (levels + 1)) / 2 + levels
  const path: Path = {
    inputs: new Int32Array(entries),
    zeros: new Float64Array(entries),
    ones: new Float64Array(entries),
    weights: new Float64Array(entries),
  }
  for (const root of forest.roots) walk(forest, row, weight, into, path, root, 0, 0, 1, 1, -1)
}

/**
 * An entry for each feature of the path: the share of rows that go on when the feature is not known (`zeros`), whether this
 * row goes on when it is (`ones`, 0 or 1), and the weight of all subsets of as many features as the entry's place.
 */
type Path = {
  readonly inputs: Int32Array
  readonly zeros: Float64Array
  readonly ones: Float64Array
  readonly weights: Float64Array
}

function walk(
  forest: Forest,
  row: Float64Array,
  weight: number,
  into: Float64Array,
  path: Path,
  node: number,
  from: number,
  length: number,
  zero: number,
  one: number,
  input: number,
): void {
  const { inputs, zeros, ones, weights } = path
  const start = from + length
  for (let place = 0; place < length; place++) {
    inputs[start + place] = inputs[from + place] ?? 0
    zeros[start + place] = zeros[from + place] ?? 0
    ones[start + place] = ones[from + place] ?? 0
    weights[start + place] = weights[from + place] ?? 0
  }
  extend(path, start, length, zero, one, input)

  const asked = forest.inputs[node] ?? LEAF
  if (asked === LEAF) {
    const value = weight * (forest.values[node] ?? 0)
    for (let place = 1; place <= length; place++) {
      const own = (ones[start + place] ?? 0) - (zeros[start + place] ?? 0)
      const owner = inputs[start + place] ?? 0
      into[owner] = (into[owner] ?? 0) + sumWithout(path, start, length, place) * own * value
    }
    return
  }

  // A feature that the path has already is taken out and comes back with both answers together.
  let known = length
  while (known > 0 && inputs[start + known] !== asked) known--
  let [pastZero, pastOne, last] = [1, 1, length]
  if (known > 0) {
    pastZero = zeros[start + known] ?? 0
    pastOne = ones[start + known] ?? 0
    remove(path, start, length, known)
    last--
  }
  const value = row[asked] ?? Number.NaN
  const threshold = forest.values[node] ?? 0
  const isLeft = value <= threshold || (!(value > threshold) && goesLeftSlowly(forest, node, value))
  const left = forest.lefts[node] ?? 0
  const share = forest.leftShares[node] ?? 0
  const [leftZero, rightZero] = [share * pastZero, (1 - share) * pastZero]
  const [leftOne, rightOne] = isLeft ? [pastOne, 0] : [0, pastOne]
  // Where neither this row nor any row of training goes, no subset has a share.
  if (leftZero + leftOne > 0) {
    walk(forest, row, weight, into, path, left, start, last + 1, leftZero, leftOne, asked)
  }
  if (rightZero + rightOne > 0) {
    walk(forest, row, weight, into, path, left + 1, start, last + 1, rightZero, rightOne, asked)
  }
}

/** Puts a feature at the end of the path and spreads the weights over subsets with and without it. */
function extend(path: Path, start: number, length: number, zero: number, one: number, input: number): void {
  const { inputs, zeros, ones, weights } = path
  inputs[start + length] = input
  zeros[start + length] = zero
  ones[start + length] = one
  weights[start + length] = length === 0 ? 1 : 0
  for (let place = length - 1; place >= 0; place--) {
    const weight = weights[start + place] ?? 0
    weights[start + place + 1] = (weights[start + place + 1] ?? 0) + (one * weight * (place + 1)) / (length + 1)
    weights[start + place] = (zero * weight * (length - place)) / (length + 1)
  }
}

/** Undoes `extend` for the feature at a place of the path, whose last place is `last`. */
function remove(path: Path, start: number, last: number, removed: number): void {
  const { inputs, zeros, ones, weights } = path
  const zero = zeros[start + removed] ?? 0
  const one = ones[start + removed] ?? 0
  let next = weights[start + last] ?? 0
  for (let place = last - 1; place >= 0; place--) {
    const weight = weights[start + place] ?? 0
    if (one !== 0) {
      const without = (next * (last + 1)) / ((place + 1) * one)
      weights[start + place] = without
      next = weight - (without * zero * (last - place)) / (last + 1)
    } else {
      weights[start + place] = (weight * (last + 1)) / (zero * (last - place))
    }
  }
  for (let place = removed; place < last; place++) {
    inputs[start + place] = inputs[start + place + 1] ?? 0
    zeros[start + place] = zeros[start + place + 1] ?? 0
    ones[start + place] = ones[start + place + 1] ?? 0
  }
}

/** The sum of the weights that `remove` would leave. */
function sumWithout(path: Path, start: number, last: number, removed: number): number {
  const { zeros, ones, weights } = path
  const zero = zeros[start + removed] ?? 0
  const one = ones[start + removed] ?? 0
  let next = weights[start + last] ?? 0
  let sum = 0
  for (let place = last - 1; place >= 0; place--) {
    const weight = weights[start + place] ?? 0
    if (one !== 0) {
      const without = (next * (last + 1)) / ((place + 1) * one)
      sum += without
      next = weight - (without * zero * (last - place)) / (last + 1)
    } else {
      sum += (weight * (last + 1)) / (zero * (last - place))
    }
  }
  return sum
}
