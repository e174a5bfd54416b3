/**
 * Folds for cross-validation. Rows of one customer, and exact copies of a row, are on one side; with times, test rows are
 * always later than training rows.
 */
import type { CanonicalData } from "../data/labelled-rows.ts"
import { Random } from "../random.ts"

/** Indices of the training rows and of the test rows. */
export interface Fold {
  readonly train: Uint32Array
  readonly test: Uint32Array
}

export const FOLDS = 5
/** Above this, cross-validation uses a sample: precise enough, in minutes instead of hours. */
const ROWS_MAX = 60_000
/** With a lower share of different rows (a few categories only), equal rows are chance and not the same customer. */
const DIFFERENT_SHARE_MIN = 0.5

/** Folds of rows in canonical order. `horizonMs`: the time after a row until its outcome is known. */
export function assignFolds(
  data: CanonicalData,
  options: { readonly seed: number; readonly horizonMs?: number },
): Fold[] {
  const folds = data.times === null ? [] : foldsInTime(data.times, options.horizonMs ?? 0, data.outcomes)
  return folds.length > 0 ? folds : foldsByGroup(data, options.seed)
}

/** Assigns each group to the fold with the fewest events or rows; groups with events first, for an even distribution. */
function foldsByGroup(data: CanonicalData, seed: number): Fold[] {
  const { outcomes } = data
  const groups = groupsOf(data)
  const members = new Map<number, number[]>()
  for (let row = 0; row < outcomes.length; row++) {
    const group = groups[row] ?? row
    const known = members.get(group)
    if (known === undefined) members.set(group, [row])
    else known.push(row)
  }
  const order = new Random(`folds ${seed}`).shuffle([...members.values()])
  let sampled = 0
  const used = order.filter((rows) => {
    sampled += rows.length
    return sampled <= ROWS_MAX
  })
  const eventsOf = (rows: readonly number[]) => rows.reduce((sum, row) => sum + (outcomes[row] ?? 0), 0)
  const withEvents = used.map((rows) => ({ rows, events: eventsOf(rows) }))
  withEvents.sort((a, b) => b.events - a.events || b.rows.length - a.rows.length)
  const tests = Array.from({ length: FOLDS }, () => ({ rows: [] as number[], events: 0 }))
  for (const { rows, events } of withEvents) {
    const fold = tests.reduce((least, each) => {
      const byEvents = events > 0 ? each.events - least.events : 0
      return (byEvents || each.rows.length - least.rows.length) < 0 ? each : least
    })
    fold.rows.push(...rows)
    fold.events += events
  }
  return tests.map((test) => ({
    test: Uint32Array.from(test.rows).sort(),
    train: Uint32Array.from(tests.flatMap((other) => (other === test ? [] : other.rows))).sort(),
  }))
}

/** The group of each row: its customer, joined with customers that have an exact copy of one of its rows. */
function groupsOf({ matrix, outcomes, customers }: CanonicalData): Int32Array {
  const parents = Int32Array.from(outcomes, (_, row) => row)
  const rootOf = (row: number): number => {
    let root = row
    while (parents[root] !== root) {
      parents[root] = parents[parents[root] ?? 0] ?? 0
      root = parents[root] ?? 0
    }
    return root
  }
  const firstOf = new Map<string | number, number>()
  const join = (key: string | number, row: number) => {
    const first = firstOf.get(key)
    if (first === undefined) firstOf.set(key, row)
    else parents[rootOf(row)] = rootOf(first)
  }
  const contents = outcomes.length <= ROWS_MAX * FOLDS ? contentsOf(matrix.columns, outcomes.length) : null
  if (contents !== null && new Set(contents).size >= DIFFERENT_SHARE_MIN * outcomes.length) {
    contents.forEach((content, row) => void join(content, row))
  }
  if (customers !== null) customers.forEach((customer, row) => void join(customer, row))
  return Int32Array.from(parents, (_, row) => rootOf(row))
}

/** The content of each row as text. */
function contentsOf(columns: readonly Float64Array[], rows: number): string[] {
  return Array.from({ length: rows }, (_, row) => columns.map((column) => String(column[row])).join(","))
}

/** Splits time into one part more than there are folds; each part but the first is tested on training rows before it. */
function foldsInTime(times: Float64Array, horizonMs: number, outcomes: Uint8Array): Fold[] {
  const order = Uint32Array.from(times, (_, row) => row).sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b)
  const cuts = Array.from({ length: FOLDS }, (_, i) => {
    return times[order[Math.floor(((i + 1) * order.length) / (FOLDS + 1))] ?? 0] ?? 0
  })
  const stride = Math.max(1, Math.ceil(times.length / ROWS_MAX))
  const folds = cuts.map((from, i) => {
    const until = cuts[i + 1] ?? Number.POSITIVE_INFINITY
    const isSampled = (row: number) => row % stride === 0 // canonical order is random with respect to content
    const test = order.filter((row) => isSampled(row) && (times[row] ?? 0) >= from && (times[row] ?? 0) < until)
    const train = order.filter((row) => isSampled(row) && (times[row] ?? 0) < from - horizonMs)
    return { train: train.sort(), test: test.sort() }
  })
  const hasBoth = (rows: Uint32Array) => new Set(Array.from(rows, (row) => outcomes[row] ?? 0)).size === 2
  return folds.filter(({ train, test }) => test.length > 0 && hasBoth(train))
}
