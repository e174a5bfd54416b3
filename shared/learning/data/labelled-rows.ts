/** Training data: rows with outcomes, customers and times. */
import { sha256 } from "../../crypto/bytes.ts"
import { CannotTrain } from "../training-error.ts"
import { canonicalRows } from "./canonical-rows.ts"
import { type Matrix, selectRows } from "./matrix.ts"

/** Rows with their outcomes (0 or 1), in any order. */
export interface LabelledRows {
  readonly matrix: Matrix
  readonly outcomes: Uint8Array
  /** The customer of each row; rows of one customer are never on both sides of a split. Null if unknown. */
  readonly customers: readonly (string | null)[] | null
  /** Time of each row's prediction in milliseconds; null if rows have no time. */
  readonly times: Float64Array | null
}

/** Rows in canonical order, so that results do not depend on the original order. */
export interface CanonicalData {
  readonly matrix: Matrix
  readonly outcomes: Uint8Array
  /** Number of the customer of each row, by first appearance; null if unknown. */
  readonly customers: Int32Array | null
  readonly times: Float64Array | null
  readonly events: number
  /** Index of each row in the original order. */
  readonly places: Uint32Array
}

/** With fewer rows of either outcome, some folds would lack one. */
const OUTCOMES_MIN = 10

/** Puts rows in canonical order. Throws `CannotTrain` if there are too few of either outcome. */
export function canonicalData({ matrix, outcomes, customers, times }: LabelledRows): CanonicalData {
  const events = outcomes.reduce((sum, outcome) => sum + outcome, 0)
  const fewest = Math.min(events, outcomes.length - events)
  if (fewest < OUTCOMES_MIN) {
    throw new CannotTrain(
      `there are ${events} rows that left and ${outcomes.length - events} that stayed; at least ${OUTCOMES_MIN} of each are needed`,
    )
  }
  const numbered = customers === null ? null : numbersByName(customers)
  // Rows with equal features may differ in customer and time, so these are part of the content.
  const more = [numbered, times].filter((column) => column !== null)
  const { order } = canonicalRows({ ...matrix, columns: [...matrix.columns, ...more] }, outcomes)
  const ordered = numbered === null ? null : firstAppearance(order, numbered)
  return {
    matrix: selectRows(matrix, order),
    outcomes: Uint8Array.from(order, (place) => outcomes[place] ?? 0),
    customers: ordered,
    times: times === null ? null : Float64Array.from(order, (place) => times[place] ?? 0),
    events,
    places: order,
  }
}

/** Numbers in alphabetical order of names, independent of the order of rows. */
function numbersByName(names: readonly (string | null)[]): Float64Array {
  const sorted = [...new Set(names.filter((name) => name !== null))].sort()
  const numberOf = new Map(sorted.map((name, number) => [name, number]))
  return Float64Array.from(names, (name) => (name === null ? Number.NaN : (numberOf.get(name) ?? 0)))
}

function firstAppearance(order: Uint32Array, numbers: Float64Array): Int32Array {
  const renumbered = new Map<number, number>()
  let next = 0
  return Int32Array.from(order, (place) => {
    const number = numbers[place] ?? Number.NaN
    const known = renumbered.get(number)
    if (known !== undefined) return known
    if (!Number.isNaN(number)) renumbered.set(number, next) // a row without a name is a customer of its own
    next += 1
    return next - 1
  })
}

/** SHA-256 in hex of features, values and outcomes in canonical order: equal rows give equal hashes. */
export async function dataHash({ matrix, outcomes }: CanonicalData): Promise<string> {
  const parts: Uint8Array[] = [new TextEncoder().encode(JSON.stringify(matrix.features))]
  for (const column of matrix.columns) {
    // All missing values get the same bits, on every machine.
    const values = Float64Array.from(column, (value) => (Number.isFinite(value) ? value + 0 : Number.NaN))
    parts.push(await sha256(new Uint8Array(values.buffer)))
  }
  parts.push(await sha256(Uint8Array.from(outcomes)))
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return Array.from(await sha256(all), (byte) => byte.toString(16).padStart(2, "0")).join("")
}
