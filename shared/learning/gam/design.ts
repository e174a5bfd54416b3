/** The sparse design matrix of a scorecard: the non-zero columns of each row and their weights. */
import type { ModelFeature } from "../../scoring/model/artefact.ts"
import type { Matrix } from "../data/matrix.ts"
import { type Block, COLUMNS_MAX, hatPosition, knotsMax, knotsOf, linePenalties, ridgePenalty } from "./basis.ts"

/** Column 0 is the intercept. Each row has `slots` entries: the column (`places`) and its weight. */
export interface Design {
  readonly blocks: readonly Block[]
  readonly columns: number
  readonly rows: number
  readonly slots: number
  readonly places: Int32Array
  readonly weights: Float64Array
}

/** Two interacting inputs, with the cuts of each (none for a category). */
export interface Pair {
  readonly inputs: readonly [number, number]
  readonly cuts: readonly [readonly number[], readonly number[]]
}

/** The number of cells on one side of a pair: by cuts or levels, and one for missing. */
export function cellsOf(feature: ModelFeature | undefined, cuts: readonly number[]): number {
  return (feature?.type === "category" ? feature.levels.length : cuts.length + 1) + 1
}

/** The cell of a value on one side of a pair: the number of cuts below it, or its level; the last one is missing. */
export function cellAt(feature: ModelFeature | undefined, cuts: readonly number[], value: number): number {
  if (!Number.isFinite(value)) return cellsOf(feature, cuts) - 1
  if (feature?.type === "category")
    return Number.isInteger(value) && value >= 0 && value < feature.levels.length ? value : feature.levels.length
  let cell = 0
  while (cell < cuts.length && (cuts[cell] ?? 0) < value) cell += 1
  return cell
}

/** The allowed direction of numbers by name. */
export type Directions = Readonly<Record<string, 1 | -1>>

/** Defaults of a block. */
const PLAIN = { knots: [], centre: null, direction: 0, levelPlaces: null } as const

/** The index of each level; with more than `most` levels, all but the most frequent ones share one. */
function levelPlacesOf(column: Float64Array, levels: number, most: number): Int32Array {
  const counts = new Float64Array(levels)
  for (const level of column) if (level < levels) counts[level] = (counts[level] ?? 0) + 1
  if (levels <= most) return Int32Array.from(counts.keys())
  const order = [...counts.keys()].sort((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0) || a - b)
  const places = new Int32Array(levels).fill(most - 1)
  order.slice(0, most - 1).forEach((level, place) => {
    places[level] = place
  })
  return places
}

/** The blocks of the used inputs and of pairs, with knots from these rows. An input with only one value gets no block. */
export function buildDesign(
  matrix: Matrix,
  pairs: readonly Pair[],
  monotone: Directions,
  used: ReadonlySet<number>,
  columnsMax = COLUMNS_MAX,
): Block[] {
  const blocks: Block[] = []
  let start = 1
  const features = matrix.features.filter((_, input) => used.has(input))
  const most = knotsMax(features, columnsMax)
  const categories = features.filter(({ type }) => type === "category").length
  const levelsMax = Math.max(2, Math.floor(columnsMax / 2 / Math.max(1, categories)))
  const add = (block: Omit<Block, "start">) => {
    blocks.push({ ...block, start })
    start += block.size
  }
  matrix.features.forEach((feature, input) => {
    if (!used.has(input)) return
    const column = matrix.columns[input] ?? new Float64Array(0)
    if (feature.type === "category") {
      const levelPlaces = levelPlacesOf(column, feature.levels.length, levelsMax)
      const size = Math.max(-1, ...levelPlaces) + 2
      add({ ...PLAIN, shape: "levels", inputs: [input], size, penalties: [ridgePenalty(size)], levelPlaces })
      return
    }
    const isSomeMissing = column.some((value) => !Number.isFinite(value))
    const knots = knotsOf(column, most)
    if (knots === null && !isSomeMissing) return
    // One value, and missing: a line with one knot.
    const line = knots ?? [column.find(Number.isFinite) ?? 0]
    const centre = new Float64Array(line.length)
    for (const value of column) {
      if (!Number.isFinite(value)) continue
      const { cell, part } = hatPosition(line, value)
      centre[cell] = (centre[cell] ?? 0) + (1 - part) / matrix.rows
      if (part > 0) centre[cell + 1] = (centre[cell + 1] ?? 0) + part / matrix.rows
    }
    const penalties = line.length > 1 ? linePenalties(line) : []
    add({
      ...PLAIN,
      shape: "line",
      inputs: [input],
      size: line.length + 1,
      knots: [line],
      penalties,
      centre,
      direction: monotone[feature.name] ?? 0,
    })
  })
  for (const { inputs, cuts } of pairs) {
    const [first, second] = inputs
    const size = cellsOf(matrix.features[first], cuts[0]) * cellsOf(matrix.features[second], cuts[1])
    add({ ...PLAIN, shape: "grid", inputs, size, knots: cuts, penalties: [ridgePenalty(size)] })
  }
  return blocks
}

/** The design matrix of these rows for blocks, which may come from other rows. */
export function designOf(matrix: Matrix, blocks: readonly Block[]): Design {
  const slots = 1 + blocks.reduce((sum, { shape }) => sum + (shape === "line" ? 2 : 1), 0)
  const places = new Int32Array(matrix.rows * slots)
  const weights = new Float64Array(matrix.rows * slots)
  for (let row = 0; row < matrix.rows; row++) weights[row * slots] = 1
  let slot = 1
  for (const block of blocks) {
    fillBlock(matrix, block, slot, slots, places, weights)
    slot += block.shape === "line" ? 2 : 1
  }
  const columns = blocks.reduce((sum, { size }) => sum + size, 1)
  return { blocks, columns, rows: matrix.rows, slots, places, weights }
}

function fillBlock(
  matrix: Matrix,
  block: Block,
  slot: number,
  slots: number,
  places: Int32Array,
  weights: Float64Array,
) {
  const { shape, inputs, start, size, knots, levelPlaces } = block
  const [first = 0, second = 0] = inputs
  const column = matrix.columns[first] ?? new Float64Array(0)
  const other = matrix.columns[second] ?? new Float64Array(0)
  const [cutsA = [], cutsB = []] = knots
  const [featureA, featureB] = [matrix.features[first], matrix.features[second]]
  const width = cellsOf(featureB, cutsB)
  for (let row = 0; row < matrix.rows; row++) {
    const at = row * slots + slot
    const value = column[row] ?? Number.NaN
    if (shape === "line") {
      const { cell, part } = Number.isFinite(value) ? hatPosition(cutsA, value) : { cell: size - 1, part: 0 }
      places[at] = start + cell
      weights[at] = 1 - part
      // At the last knot the second hat would be the column of "missing"; it has weight 0 and points to the same column.
      places[at + 1] = start + (part > 0 ? cell + 1 : cell)
      weights[at + 1] = part
    } else {
      const cell = cellAt(featureA, cutsA, value)
      const level = levelPlaces?.[cell] ?? size - 1
      places[at] =
        start + (shape === "levels" ? level : cell * width + cellAt(featureB, cutsB, other[row] ?? Number.NaN))
      weights[at] = 1
    }
  }
}
