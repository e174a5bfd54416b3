import { mix } from "../random.ts"
import type { Matrix } from "./matrix.ts"

/** Rows in an order that depends only on their content. */
export type CanonicalRows = {
  /** Indices of the rows in the table, in canonical order. */
  readonly order: Uint32Array
  /** 32 bits for each row in canonical order, by its content; copies of one row have different ones. */
  readonly hashes: Uint32Array
}

/**
 * The canonical order of labelled rows: by a hash of values and label, then by the values. Floating-point sums and samples in
 * this order give the same result for the same rows, however they were ordered before.
 */
export function canonicalRows({ columns, rows }: Matrix, labels: ArrayLike<number>): CanonicalRows {
  const first = new Uint32Array(rows)
  const second = new Uint32Array(rows)
  const words = new Uint32Array(2)
  const bits = new Float64Array(words.buffer)
  const add = (row: number, value: number): void => {
    // 0 and -0 are equal, and so are all values that count as missing.
    bits[0] = value - value === 0 ? value + 0 : Number.NaN
    const [low = 0, high = 0] = words
    first[row] = Math.imul((first[row] ?? 0) ^ low, 0x9e3779b1) ^ mix(high + 0x7f4a7c15)
    second[row] = mix((second[row] ?? 0) ^ mix(low ^ mix(high)))
    first[row] = Math.imul(((first[row] ?? 0) << 13) | ((first[row] ?? 0) >>> 19), 0x85ebca77)
  }
  for (const column of columns) for (let row = 0; row < rows; row++) add(row, column[row] ?? Number.NaN)
  for (let row = 0; row < rows; row++) add(row, labels[row] ?? Number.NaN)

  const difference = (a: number, b: number): number => {
    const byHash = (first[a] ?? 0) - (first[b] ?? 0) || (second[a] ?? 0) - (second[b] ?? 0)
    return byHash || byContent(columns, labels, a, b)
  }
  const order = Uint32Array.from({ length: rows }, (_, row) => row).sort(difference)
  const hashes = new Uint32Array(rows)
  let copies = 0
  for (let place = 0; place < rows; place++) {
    const row = order[place] ?? 0
    copies = place > 0 && difference(order[place - 1] ?? 0, row) === 0 ? copies + 1 : 0
    hashes[place] = mix((second[row] ?? 0) ^ mix(copies))
  }
  return { order, hashes }
}

/** The order of two rows with equal hashes; 0 if they are copies. */
function byContent(columns: readonly Float64Array[], labels: ArrayLike<number>, a: number, b: number): number {
  for (const column of columns) {
    const [one, other] = [asSortable(column[a]), asSortable(column[b])]
    if (one !== other) return one < other ? -1 : 1
  }
  return (labels[a] ?? 0) - (labels[b] ?? 0)
}

const asSortable = (value = Number.NaN): number => (value - value === 0 ? value : Number.NEGATIVE_INFINITY)
