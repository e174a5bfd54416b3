/** Boosted trees, decoded and checked once, so that no document can cause an endless loop or a read out of bounds. */
import type { GbdtModel, ModelFeature } from "./artefact.ts"
import { numbersOf } from "./binary.ts"
import { assertArtefact } from "./invalid-artefact.ts"

export const LEAF = 65_535
/** Bits of a node's flags. */
export const MISSING_LEFT = 1
export const CATEGORY = 2

/** Bounds of one forest, far above what trainers produce: 200 trees of depth 6 have 12 800 leaves and a work of 630 000. */
export const FOREST_BOUNDS = {
  depth: 64,
  trees: 2_000,
  leaves: 65_536,
  /** Of explaining one row: the sum over the leaves of (depth + 1)². A million takes a few milliseconds. */
  work: 2_000_000,
} as const
/** Far above any log-odds of a real model, far below where sums overflow. */
export const LOG_ODDS_MAX = 1e6

export type Forest = {
  readonly base: number
  readonly roots: Uint32Array
  readonly inputs: Uint16Array
  /** A number's threshold, a leaf's value; NaN at a category, so that comparisons fail. */
  readonly values: Float64Array
  /** The left child's index in the arrays. */
  readonly lefts: Uint32Array
  readonly flags: Uint8Array
  /** Share of training rows that went left. */
  readonly leftShares: Float64Array
  /** First word of a category's set. */
  readonly setStarts: Uint32Array
  readonly sets: Uint32Array
  /** Number of levels of each input; 0 for a number. */
  readonly levelCounts: Uint32Array
  /** Edges from the root to the deepest leaf of each tree. */
  readonly depths: Uint8Array
  /** Whether a tree tests a category. */
  readonly hasCategories: Uint8Array
  /** For traversal in a fixed number of steps. */
  readonly steps: Steps
  /** Edges from the root to the deepest leaf of any tree. */
  readonly depth: number
  /** The cost of explaining one row: the sum over the leaves of (depth + 1)². */
  readonly work: number
  /** Base plus the mean of each tree, weighted by the training rows of its leaves. */
  readonly expected: number
}

/**
 * The nodes of trees that test only numbers, for traversal without branches: a leaf leads to itself, and the next child is a
 * sum of two numbers. A processor can then process several rows in parallel.
 */
type Steps = {
  readonly inputs: Uint16Array
  /** Infinity at a leaf, so that no value exceeds it. */
  readonly thresholds: Float64Array
  /** The left child; at a leaf the leaf itself. */
  readonly lefts: Uint32Array
  /** 1 where missing goes right. */
  readonly missingRights: Uint8Array
}

/** Decodes and checks the trees; throws InvalidArtefact if they are inconsistent. */
export function prepareForest(model: GbdtModel, features: readonly ModelFeature[]): Forest {
  const roots = numbersOf(model.roots, Uint32Array, "roots")
  const inputs = numbersOf(model.inputs, Uint16Array, "inputs")
  const values = numbersOf(model.values, Float64Array, "values")
  const children = numbersOf(model.children, Uint16Array, "children")
  const flags = numbersOf(model.flags, Uint8Array, "flags")
  const covers = numbersOf(model.covers, Float32Array, "covers")
  const sets = numbersOf(model.sets, Uint32Array, "sets")
  const size = inputs.length
  const leaves = inputs.reduce((count, input) => count + Number(input === LEAF), 0)
  reserveWithin("trees", roots.length, FOREST_BOUNDS.trees)
  reserveWithin("leaves", leaves, FOREST_BOUNDS.leaves)
  const sameLength = [values, children, flags, covers].every(({ length }) => length === size)
  assertArtefact(sameLength, "the arrays of the trees differ in length")
  assertArtefact(size === 0 ? roots.length === 0 : roots[0] === 0, "the first tree does not start at the first node")
  assertArtefact(Math.abs(model.base) <= LOG_ODDS_MAX, "the base of the trees is out of range")
  const levelCounts = Uint32Array.from(features, (feature) => (feature.type === "category" ? feature.levels.length : 0))

  const lefts = new Uint32Array(size)
  const leftShares = new Float64Array(size)
  const setStarts = new Uint32Array(size)
  const depths = new Uint8Array(size)
  const means = new Float64Array(size)
  const treeDepths = new Uint8Array(roots.length)
  const hasCategories = new Uint8Array(roots.length)
  let expected = model.base
  let work = 0
  for (let tree = 0; tree < roots.length; tree++) {
    const root = roots[tree] ?? 0
    const end = roots[tree + 1] ?? size
    assertArtefact(root < end && end <= size, "the roots of the trees are not ascending")
    const parents = new Uint8Array(end - root)
    for (let node = root; node < end; node++) {
      const input = inputs[node] ?? LEAF
      const value = values[node] ?? 0
      const cover = covers[node] ?? 0
      assertArtefact(Number.isFinite(cover) && cover >= 0, "a node has no count of rows")
      assertArtefact(node === root || parents[node - root] === 1, "a node has not exactly one parent")
      if (input === LEAF) {
        assertArtefact(Math.abs(value) <= LOG_ODDS_MAX, "a leaf is out of range")
        work += ((depths[node] ?? 0) + 1) ** 2
        continue
      }
      assertArtefact(input < features.length, "a node asks for an input that is not there")
      const left = root + (children[node] ?? 0)
      assertArtefact(left > node && left + 1 < end, "a node's children do not come after it in its tree")
      for (const child of [left, left + 1]) {
        parents[child - root] = (parents[child - root] ?? 0) + 1
        depths[child] = (depths[node] ?? 0) + 1
      }
      const level = (depths[node] ?? 0) + 1
      reserveWithin("levels in a tree", level, FOREST_BOUNDS.depth)
      treeDepths[tree] = Math.max(treeDepths[tree] ?? 0, level)
      lefts[node] = left
      const [leftRows, rightRows] = [covers[left] ?? 0, covers[left + 1] ?? 0]
      leftShares[node] = leftRows + rightRows > 0 ? leftRows / (leftRows + rightRows) : 0.5
      const isCategory = ((flags[node] ?? 0) & CATEGORY) !== 0
      assertArtefact(isCategory === (features[input]?.type === "category"), "a node takes its input for another type")
      if (isCategory) {
        const isSet = Number.isInteger(value) && value >= 0 && (value + 1) * model.setWords <= sets.length
        assertArtefact(isSet && (levelCounts[input] ?? 0) <= model.setWords * 32, "a node's set of levels is not there")
        setStarts[node] = value * model.setWords
        values[node] = Number.NaN
        hasCategories[tree] = 1
      } else {
        assertArtefact(Number.isFinite(value), "a threshold is not a number")
      }
    }
    for (let node = end - 1; node >= root; node--) {
      const left = lefts[node] ?? 0
      const share = leftShares[node] ?? 0
      means[node] = left === 0 ? (values[node] ?? 0) : share * (means[left] ?? 0) + (1 - share) * (means[left + 1] ?? 0)
    }
    expected += means[root] ?? 0
  }
  reserveWithin("steps to explain one row (leaves × depth²)", work, FOREST_BOUNDS.work)
  return {
    base: model.base,
    roots,
    inputs,
    values,
    lefts,
    flags,
    leftShares,
    setStarts,
    sets,
    levelCounts,
    depths: treeDepths,
    hasCategories,
    steps: stepsOf(inputs, values, lefts, flags),
    depth: treeDepths.reduce((deepest, depth) => Math.max(deepest, depth), 0),
    work,
    expected,
  }
}

const reserveWithin = (what: string, count: number, max: number): void =>
  assertArtefact(count <= max, `the trees have ${count} ${what}, and may have ${max}`)

function stepsOf(inputs: Uint16Array, values: Float64Array, lefts: Uint32Array, flags: Uint8Array): Steps {
  const isLeaf = (node: number): boolean => inputs[node] === LEAF
  return {
    inputs: inputs.map((input) => (input === LEAF ? 0 : input)),
    thresholds: values.map((value, node) => (isLeaf(node) ? Number.POSITIVE_INFINITY : value)),
    lefts: lefts.map((left, node) => (isLeaf(node) ? node : left)),
    missingRights: flags.map((bits, node) => (isLeaf(node) || (bits & MISSING_LEFT) !== 0 ? 0 : 1)),
  }
}

/** Whether a row goes left at a node if its value is missing or the node tests a category. */
export function goesLeftSpecial(forest: Forest, node: number, value: number): boolean {
  const { flags, inputs, levelCounts, setStarts, sets } = forest
  const bits = flags[node] ?? 0
  if ((bits & CATEGORY) !== 0 && value >>> 0 === value && value < (levelCounts[inputs[node] ?? 0] ?? 0)) {
    return (((sets[(setStarts[node] ?? 0) + (value >>> 5)] ?? 0) >>> (value & 31)) & 1) === 1
  }
  return (bits & MISSING_LEFT) !== 0
}

/** The leaf that a row reaches; the row starts at `offset` of `rows` and contains no infinity. */
export function leafOf(forest: Forest, root: number, rows: Float64Array, offset: number): number {
  const { inputs, values, lefts } = forest
  let node = root
  for (let input = inputs[node] ?? LEAF; input !== LEAF; input = inputs[node] ?? LEAF) {
    const value = rows[offset + input] ?? 0
    const threshold = values[node] ?? 0
    const left = lefts[node] ?? 0
    if (value <= threshold) node = left
    else if (value > threshold) node = left + 1
    else node = goesLeftSpecial(forest, node, value) ? left : left + 1
  }
  return node
}

/** Log-odds of one row. */
export function rawForestScore(forest: Forest, row: Float64Array): number {
  let sum = forest.base
  for (let tree = 0; tree < forest.roots.length; tree++) {
    sum += forest.values[leafOf(forest, forest.roots[tree] ?? 0, row, 0)] ?? 0
  }
  return sum
}

/** Rows per block, so that a block stays in the processor's cache for all trees; a multiple of four. */
const BLOCK_ROWS = 256

/** Log-odds of many rows, each bit-identical to `rawForestScore`. */
export function rawForestScores(forest: Forest, columns: readonly Float64Array[], rows: number): Float64Array {
  const sums = new Float64Array(rows)
  const width = columns.length
  const block = new Float64Array(BLOCK_ROWS * width)
  const blockSums = new Float64Array(BLOCK_ROWS)
  for (let start = 0; start < rows; start += BLOCK_ROWS) {
    const count = Math.min(BLOCK_ROWS, rows - start)
    for (let input = 0; input < width; input++) {
      const column = columns[input] ?? block
      for (let row = 0; row < count; row++) {
        const value = column[start + row] ?? Number.NaN
        block[row * width + input] = value - value === 0 ? value : Number.NaN
      }
    }
    blockSums.fill(forest.base)
    for (let tree = 0; tree < forest.roots.length; tree++) {
      if (forest.hasCategories[tree] === 1) addTree(forest, tree, block, width, blockSums, count)
      else addTreeOfNumbers(forest, tree, block, width, blockSums, count)
    }
    sums.set(blockSums.subarray(0, count), start)
  }
  return sums
}

function addTree(forest: Forest, tree: number, block: Float64Array, width: number, sums: Float64Array, count: number) {
  const root = forest.roots[tree] ?? 0
  for (let row = 0; row < count; row++) {
    sums[row] = (sums[row] ?? 0) + (forest.values[leafOf(forest, root, block, row * width)] ?? 0)
  }
}

/** Four rows at a time, in as many steps as the tree's depth; rows after the last one are computed and not used. */
function addTreeOfNumbers(
  { roots, depths, values, steps: { inputs, thresholds, lefts, missingRights } }: Forest,
  tree: number,
  block: Float64Array,
  width: number,
  sums: Float64Array,
  count: number,
): void {
  const root = roots[tree] ?? 0
  const depth = depths[tree] ?? 0
  for (let row = 0; row < count; row += 4) {
    const rowA = row * width
    const rowB = rowA + width
    const rowC = rowB + width
    const rowD = rowC + width
    let a = root
    let b = root
    let c = root
    let d = root
    for (let step = 0; step < depth; step++) {
      const valueA = block[rowA + (inputs[a] ?? 0)] ?? 0
      const valueB = block[rowB + (inputs[b] ?? 0)] ?? 0
      const valueC = block[rowC + (inputs[c] ?? 0)] ?? 0
      const valueD = block[rowD + (inputs[d] ?? 0)] ?? 0
      a = (lefts[a] ?? 0) + (Number.isNaN(valueA) ? (missingRights[a] ?? 0) : Number(valueA > (thresholds[a] ?? 0)))
      b = (lefts[b] ?? 0) + (Number.isNaN(valueB) ? (missingRights[b] ?? 0) : Number(valueB > (thresholds[b] ?? 0)))
      c = (lefts[c] ?? 0) + (Number.isNaN(valueC) ? (missingRights[c] ?? 0) : Number(valueC > (thresholds[c] ?? 0)))
      d = (lefts[d] ?? 0) + (Number.isNaN(valueD) ? (missingRights[d] ?? 0) : Number(valueD > (thresholds[d] ?? 0)))
    }
    sums[row] = (sums[row] ?? 0) + (values[a] ?? 0)
    sums[row + 1] = (sums[row + 1] ?? 0) + (values[b] ?? 0)
    sums[row + 2] = (sums[row + 2] ?? 0) + (values[c] ?? 0)
    sums[row + 3] = (sums[row + 3] ?? 0) + (values[d] ?? 0)
  }
}
