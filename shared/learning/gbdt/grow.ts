import { mix, Random } from "../random.ts"
import type { Binning } from "./bins.ts"
import type { GbdtOptions } from "./options.ts"
import { bestSplitBy, newtonStep, type Region, type Split } from "./split.ts"

/** A node of a growing tree; the right child follows the left one, `left` is 0 at a leaf. */
export type GrownNode = { split: Split | null; left: number; value: number; cover: number }

/** The training rows in bins, in canonical order, with the derivatives of their log loss. */
export type Rows = {
  readonly binnings: readonly Binning[]
  /** Bins by feature and row. */
  readonly binned: readonly Uint8Array[]
  readonly hashes: Uint32Array
  readonly gradients: Float64Array
  readonly hessians: Float64Array
  /** 1, −1 or 0 by feature. */
  readonly monotone: readonly number[]
}

type Leaf = {
  readonly node: number
  readonly level: number
  readonly region: Region
  /** Its rows: a range of the sampled rows. */
  readonly from: number
  readonly to: number
  histogram: Float64Array
  split: Split | null
}

/** Grows one tree on a sample of rows and features; leaf values include the learning rate. */
export function growTree(rows: Rows, options: GbdtOptions, tree: number): GrownNode[] {
  return new Grower(rows, options, tree).grow()
}

const NONE = new Uint8Array(0)

class Grower {
  readonly #rows: Rows
  readonly #options: GbdtOptions
  readonly #random: Random
  readonly #inputs: number[]
  /** First bin of each feature in a histogram. */
  readonly #starts: number[] = []
  readonly #bins: number
  readonly #sampled: Uint32Array
  /** A buffer for partitioning the rows of a node. */
  readonly #buffer: Uint32Array
  readonly #derivatives: Float64Array
  readonly #nodes: GrownNode[] = [{ split: null, left: 0, value: 0, cover: 0 }]
  readonly #idle: Float64Array[] = []

  constructor(rows: Rows, options: GbdtOptions, tree: number) {
    this.#rows = rows
    this.#options = options
    this.#random = new Random(`${options.seed} tree ${tree}`)
    this.#inputs = sample(this.#random, rows.binnings.length, options.columnShare)
    let bins = 0
    for (const [input, binning] of rows.binnings.entries()) {
      this.#starts.push(bins)
      if (this.#inputs.includes(input)) bins += binning.bins
    }
    this.#bins = bins
    this.#sampled = sampleRows(rows.hashes, options, tree)
    this.#buffer = new Uint32Array(this.#sampled.length)
    this.#derivatives = new Float64Array(2 * this.#sampled.length)
  }

  grow(): GrownNode[] {
    const open = [this.#root()]
    for (let leaves = 1; leaves < this.#options.leavesMax; leaves++) {
      const next = this.#next(open)
      if (next === undefined) break
      open.splice(open.indexOf(next), 1, ...this.#split(next))
    }
    for (const leaf of open) this.#close(leaf)
    return this.#nodes
  }

  #root(): Leaf {
    const { gradients, hessians } = this.#rows
    let [gradient, hessian] = [0, 0]
    for (const row of this.#sampled) {
      gradient += gradients[row] ?? 0
      hessian += hessians[row] ?? 0
    }
    const to = this.#sampled.length
    const bounds = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY }
    const region = { gradient, hessian, rows: to, ...bounds }
    const histogram = new Float64Array(3 * this.#bins)
    const root: Leaf = { node: 0, level: 0, region, from: 0, to, histogram, split: null }
    this.#count(root)
    root.split = this.#bestSplit(root)
    return root
  }

  /** The leaf to split next; undefined if no split has a gain. */
  #next(open: readonly Leaf[]): Leaf | undefined {
    let best: Leaf | undefined
    for (const leaf of open) {
      if (leaf.split === null) continue
      const isHigher = this.#options.growth === "depth" && best !== undefined && leaf.level < best.level
      const isOfLevel = this.#options.growth === "leaf" || best === undefined || leaf.level === best.level
      if (isHigher || (isOfLevel && leaf.split.gain > (best?.split?.gain ?? 0))) best = leaf
    }
    return best
  }

  /** Splits a leaf into two children with their rows and best splits. */
  #split(leaf: Leaf): [Leaf, Leaf] {
    const split = leaf.split
    const node = this.#nodes[leaf.node]
    if (split === null || node === undefined) throw new Error("a leaf without a split cannot be split")
    const middle = this.#partitionRows(leaf, split)
    node.split = split
    node.left = this.#nodes.length
    for (let side = 0; side < 2; side++) this.#nodes.push({ split: null, left: 0, value: 0, cover: 0 })

    const level = leaf.level + 1
    const common = { level, split: null }
    const fresh = this.#idle.pop() ?? new Float64Array(3 * this.#bins)
    const isLeftSmaller = middle - leaf.from < leaf.to - middle
    const left: Leaf = { ...common, node: node.left, region: split.left, from: leaf.from, to: middle, histogram: fresh }
    const right: Leaf = {
      ...common,
      node: node.left + 1,
      region: split.right,
      from: middle,
      to: leaf.to,
      histogram: fresh,
    }
    if (level < this.#options.depthMax) {
      // The larger child's histogram is the parent's minus the smaller child's.
      const [smaller, larger] = isLeftSmaller ? [left, right] : [right, left]
      this.#count(smaller)
      larger.histogram = leaf.histogram
      for (let at = 0; at < fresh.length; at++) larger.histogram[at] = (larger.histogram[at] ?? 0) - (fresh[at] ?? 0)
      left.split = this.#bestSplit(left)
      right.split = this.#bestSplit(right)
      for (const child of [left, right]) if (child.split === null) this.#idle.push(child.histogram)
    } else {
      this.#idle.push(fresh, leaf.histogram)
    }
    return [left, right]
  }

  /** Moves the rows that go left before the others, keeping the order; returns where the others start. */
  #partitionRows({ from, to }: Leaf, { input, goesLeft }: Split): number {
    const bins = this.#rows.binned[input] ?? new Uint8Array(0)
    const sampled = this.#sampled
    const buffer = this.#buffer
    let [left, right] = [from, 0]
    for (let place = from; place < to; place++) {
      const row = sampled[place] ?? 0
      if (goesLeft[bins[row] ?? 0] === 1) sampled[left++] = row
      else buffer[right++] = row
    }
    sampled.set(buffer.subarray(0, right), left)
    return left
  }

  /** Fills a leaf's histogram from its rows. */
  #count({ from, to, histogram }: Leaf): void {
    histogram.fill(0)
    const { gradients, hessians, binned } = this.#rows
    // Copied to contiguous memory once, so that reads for each feature hit the processor's cache.
    const rows = this.#sampled.subarray(from, to)
    const derivatives = this.#derivatives
    for (let place = 0; place < rows.length; place++) {
      const row = rows[place] ?? 0
      derivatives[2 * place] = gradients[row] ?? 0
      derivatives[2 * place + 1] = hessians[row] ?? 0
    }
    for (const input of this.#inputs) {
      const bins = binned[input] ?? NONE
      const first = 3 * (this.#starts[input] ?? 0)
      for (let place = 0; place < rows.length; place++) {
        const at = first + 3 * (bins[rows[place] ?? 0] ?? 0)
        histogram[at] = (histogram[at] ?? 0) + (derivatives[2 * place] ?? 0)
        histogram[at + 1] = (histogram[at + 1] ?? 0) + (derivatives[2 * place + 1] ?? 0)
        histogram[at + 2] = (histogram[at + 2] ?? 0) + 1
      }
    }
  }

  #bestSplit({ region, histogram }: Leaf): Split | null {
    const options = this.#options
    if (region.rows < 2 * options.childRowsMin) return null
    const share = options.splitColumnShare
    const inputs =
      share < 1 ? sample(this.#random, this.#inputs.length, share).map((at) => this.#inputs[at] ?? 0) : this.#inputs
    let best: Split | null = null
    for (const input of inputs) {
      const binning = this.#rows.binnings[input]
      if (binning === undefined) continue
      const start = this.#starts[input] ?? 0
      const monotone = this.#rows.monotone[input] ?? 0
      const gainAbove: number = best?.gain ?? 0
      best = bestSplitBy({ options, region, histogram, start, binning, input, monotone, gainAbove }) ?? best
    }
    return best
  }

  #close({ node, region }: Leaf): void {
    const { gradient, hessian, low, high } = region
    const leaf = this.#nodes[node]
    const { l2, learningRate } = this.#options
    if (leaf !== undefined) leaf.value = learningRate * newtonStep(gradient, hessian, l2, low, high)
  }
}

/** Samples rows by their hash, so that the sample does not depend on the order of rows. */
function sampleRows(hashes: Uint32Array, { rowShare, seed }: GbdtOptions, tree: number): Uint32Array {
  const salt = new Random(`${seed} rows ${tree}`).bits()
  const most = rowShare * 2 ** 32
  const rows = new Uint32Array(hashes.length)
  let count = 0
  for (let row = 0; row < hashes.length; row++) {
    if (mix((hashes[row] ?? 0) ^ salt) < most) rows[count++] = row
  }
  return rows.subarray(0, count)
}

/** A sample of at least one of `count` indices, ascending. */
function sample(random: Random, count: number, share: number): number[] {
  const all = Array.from({ length: count }, (_, place) => place)
  if (share >= 1) return all
  const taken = Math.max(1, Math.round(share * count))
  return random
    .shuffle(all)
    .slice(0, taken)
    .sort((a, b) => a - b)
}
