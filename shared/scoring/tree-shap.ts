/**
 * Exact Shapley values of trees, path-dependent: a feature that is not known sends a row both ways, in the shares of the
 * training rows. These are the values of TreeSHAP (Lundberg, Erion, Lee: "Consistent individualized feature attribution for
 * tree ensembles", algorithm 2), at the same cost of leaves × depth² a tree, by a shorter way.
 *
 * A leaf is worth, with the features of a set known, its value × the share of rows that get there by the features outside
 * the set, and nothing when the row itself goes elsewhere by one of the set. So only sets of features that the row goes on
 * by count, and of those the sums over all sets of one size are the elementary symmetric polynomials of their shares.
 */
import { type Forest, goesLeftSpecial, LEAF } from "./forest.ts"

/** Adds `weight` × the Shapley value of each input to `into`; the row holds no infinity. */
export function explainForest(forest: Forest, row: Float64Array, weight: number, into: Float64Array): void {
  const entries = forest.depth + 1
  const walker: Walker = {
    forest,
    row,
    weight,
    into,
    inputs: new Int32Array(entries),
    zeros: new Float64Array(entries),
    ones: new Uint8Array(entries),
    sums: new Float64Array(entries + 1),
    chances: chancesOf(entries),
    stride: entries,
  }
  for (const root of forest.roots) walk(walker, root, 0)
}

/** The features on the way to a node, each once: with the share of rows, and whether this row, goes that way by it. */
type Walker = {
  readonly forest: Forest
  readonly row: Float64Array
  readonly weight: number
  readonly into: Float64Array
  readonly inputs: Int32Array
  readonly zeros: Float64Array
  readonly ones: Uint8Array
  /** Of the features that the row goes on by: sums over all sets of j of them of the product of their shares. */
  readonly sums: Float64Array
  /** By number of features and size of a set: in how many of all orders exactly that set comes before a feature. */
  readonly chances: Float64Array
  readonly stride: number
}

/** Size! × (count − 1 − size)! / count!, the weight of a set in Shapley's formula. */
function chancesOf(entries: number): Float64Array {
  const chances = new Float64Array(entries * entries)
  for (let count = 1; count < entries; count++) {
    let chance = 1 / count
    for (let size = 0; size < count; size++) {
      chances[count * entries + size] = chance
      chance *= (size + 1) / (count - 1 - size)
    }
  }
  return chances
}

function walk(walker: Walker, node: number, count: number): void {
  const { forest, inputs, zeros, ones } = walker
  const asked = forest.inputs[node] ?? LEAF
  if (asked === LEAF) {
    credit(walker, count, walker.weight * (forest.values[node] ?? 0))
    return
  }
  let entry = 0
  while (entry < count && inputs[entry] !== asked) entry++
  // A feature that is asked for again goes on with both answers together.
  const isNew = entry === count
  const pastZero = isNew ? 1 : (zeros[entry] ?? 0)
  const pastOne = isNew ? 1 : (ones[entry] ?? 0)
  const below = isNew ? count + 1 : count
  inputs[entry] = asked

  const value = walker.row[asked] ?? Number.NaN
  const threshold = forest.values[node] ?? 0
  const isLeft = value <= threshold || (!(value > threshold) && goesLeftSpecial(forest, node, value))
  const left = forest.lefts[node] ?? 0
  const share = forest.leftShares[node] ?? 0
  for (let side = 0; side < 2; side++) {
    const zero = pastZero * (side === 0 ? share : 1 - share)
    const one = isLeft === (side === 0) ? pastOne : 0
    // Where neither this row nor any row of training goes, no set has a share.
    if (zero + one === 0) continue
    zeros[entry] = zero
    ones[entry] = one
    walk(walker, left + side, below)
  }
  zeros[entry] = pastZero
  ones[entry] = pastOne
}

/** Gives each feature on the way to a leaf its part of the leaf. */
function credit({ into, inputs, zeros, ones, sums, chances, stride }: Walker, count: number, value: number): void {
  let others = value
  let going = 0
  sums[0] = 1
  for (let entry = 0; entry < count; entry++) {
    const zero = zeros[entry] ?? 0
    if (ones[entry] === 0) {
      others *= zero
      continue
    }
    going++
    sums[going] = 0
    for (let size = going; size > 0; size--) sums[size] = (sums[size] ?? 0) + zero * (sums[size - 1] ?? 0)
  }
  const row = count * stride
  let against = 0
  for (let size = 0; size <= going && size < count; size++) {
    against += (chances[row + size] ?? 0) * (sums[going - size] ?? 0)
  }
  for (let entry = 0; entry < count; entry++) {
    const input = inputs[entry] ?? 0
    if (ones[entry] === 0) {
      into[input] = (into[input] ?? 0) - others * against
      continue
    }
    // The sums without this feature, by taking its factor out again.
    const zero = zeros[entry] ?? 0
    let without = 0
    let sum = 0
    for (let size = 0; size < going; size++) {
      without = (sums[size] ?? 0) - zero * without
      sum += (chances[row + going - 1 - size] ?? 0) * without
    }
    into[input] = (into[input] ?? 0) + others * (1 - zero) * sum
  }
}
