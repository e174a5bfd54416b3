/**
 * Anonymised training rows for use outside the deployment. They contain no ids, no time finer than a month, no category level,
 * month or extreme value that fewer than `peopleMin` customers share, and numbers with three digits. Rows of one customer
 * share a salted hash, because splitting a customer's rows would overestimate every model; the salt is used for one export
 * and not stored, so that two exports cannot be joined.
 */
import { sha256, toHex, utf8 } from "../../crypto/bytes.ts"
import type { ModelFeature } from "../../scoring/model/artefact.ts"

/** Values shared by fewer customers are not exported. */
export const K_ANONYMITY_MIN = 10

/** One labelled row before anonymisation. */
export interface ExportableRow {
  readonly customerId: string
  readonly asOf: Date
  readonly isChurned: boolean
  readonly vector: Readonly<Record<string, unknown>>
}

type Cell = string | number | null

export interface TrainingExport {
  /** `group`, `month`, the features in their order, `churned`. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** Rows left out because their month is shared by too few. */
  readonly rowsLeftOut: number
  /** Features of which too few customers have a value: the column is empty. */
  readonly emptied: readonly string[]
}

/** Replaces rare levels if enough customers have one of them; else they are missing. */
const OTHER = "other"
const DIGITS = 3

/** The export. `salt` must be random, used once and not stored. Rows are in random order. */
export async function anonymize(
  rows: readonly ExportableRow[],
  features: readonly ModelFeature[],
  { salt, peopleMin = K_ANONYMITY_MIN }: { readonly salt: string; readonly peopleMin?: number },
): Promise<TrainingExport> {
  const monthOf = ({ asOf }: ExportableRow): string => asOf.toISOString().slice(0, 7)
  const months = sharedBy(rows, monthOf, peopleMin)
  const kept = rows.filter((row) => months.has(monthOf(row)))
  const columns = features.map((feature) => coarse(kept, feature, peopleMin))
  const marked = await Promise.all(
    kept.map(async (row, place) => ({
      order: await digest(`row ${salt} ${row.customerId} ${row.asOf.toISOString()} ${place}`),
      cells: [
        (await digest(`group ${salt} ${row.customerId}`)).slice(0, GROUP_CHARS),
        monthOf(row),
        ...columns.map(({ cells }) => cells[place] ?? null),
        row.isChurned ? 1 : 0,
      ],
    })),
  )
  return {
    columns: ["group", "month", ...features.map(({ name }) => name), "churned"],
    rows: marked.sort((a, b) => (a.order < b.order ? -1 : 1)).map(({ cells }) => cells),
    rowsLeftOut: rows.length - kept.length,
    emptied: columns.flatMap(({ name, isEmptied }) => (isEmptied ? [name] : [])),
  }
}

/** Enough to distinguish a million customers. */
const GROUP_CHARS = 16

const digest = async (text: string): Promise<string> => toHex(await sha256(utf8(text)))

/** The values that enough different customers have. */
function sharedBy<Row extends Pick<ExportableRow, "customerId">>(
  rows: readonly Row[],
  keyOf: (row: Row) => string | null,
  peopleMin: number,
): ReadonlySet<string> {
  const people = new Map<string, Set<string>>()
  for (const row of rows) {
    const value = keyOf(row)
    if (value === null) continue
    const known = people.get(value)
    if (known) known.add(row.customerId)
    else people.set(value, new Set([row.customerId]))
  }
  return new Set([...people].flatMap(([value, customers]) => (customers.size >= peopleMin ? [value] : [])))
}

interface Column {
  readonly name: string
  readonly cells: readonly Cell[]
  readonly isEmptied: boolean
}

const coarse = (rows: readonly ExportableRow[], feature: ModelFeature, peopleMin: number): Column =>
  feature.type === "number" ? coarseNumbers(rows, feature.name, peopleMin) : coarseLevels(rows, feature, peopleMin)

/** Levels that are not in the schema could contain anything, and are not exported either. */
function coarseLevels(
  rows: readonly ExportableRow[],
  { name, levels }: Extract<ModelFeature, { type: "category" }>,
  peopleMin: number,
): Column {
  const known = new Set(levels)
  const levelOf = ({ vector }: ExportableRow): string | null => {
    const value = vector[name]
    return typeof value === "string" && known.has(value) ? value : null
  }
  const shared = sharedBy(rows, levelOf, peopleMin)
  const isRare = (level: string | null): boolean => level !== null && !shared.has(level)
  const rarePeople = new Set(rows.filter((row) => isRare(levelOf(row))).map(({ customerId }) => customerId))
  const cells = rows.map((row) => {
    const level = levelOf(row)
    if (!isRare(level)) return level
    return rarePeople.size >= peopleMin ? OTHER : null
  })
  return columnOf(rows, name, cells)
}

/** Numbers with three digits, clipped to the range that enough customers reach. */
function coarseNumbers(rows: readonly ExportableRow[], name: string, peopleMin: number): Column {
  const numbers = rows.map(({ customerId, vector }) => {
    const value = vector[name]
    const number = typeof value === "number" && Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : null
    return { customerId, number }
  })
  const present = numbers.flatMap(({ customerId, number }) => (number === null ? [] : [{ customerId, number }]))
  present.sort((a, b) => a.number - b.number)
  const low = reachedBy(present, peopleMin)
  const high = reachedBy(present.toReversed(), peopleMin)
  const cells = numbers.map(({ number }) => {
    if (number === null || low === null || high === null) return null
    // In a small sample the two limits may cross; then all get one value.
    return low <= high ? Math.min(high, Math.max(low, number)) : low
  })
  return columnOf(rows, name, cells)
}

/** The first value, in this order, at which `peopleMin` different customers are reached; null if there are fewer. */
function reachedBy(
  values: readonly { readonly customerId: string; readonly number: number }[],
  peopleMin: number,
): number | null {
  const people = new Set<string>()
  for (const { customerId, number } of values) {
    people.add(customerId)
    if (people.size >= peopleMin) return number
  }
  return null
}

const columnOf = (rows: readonly ExportableRow[], name: string, cells: readonly Cell[]): Column => {
  const hadValue = rows.some(({ vector }) => vector[name] !== null && vector[name] !== undefined)
  return { name, cells, isEmptied: hadValue && cells.every((cell) => cell === null) }
}

/** The export as CSV (RFC 4180); missing values are empty fields. */
export function csvOf({ columns, rows }: Pick<TrainingExport, "columns" | "rows">): string {
  const field = (cell: Cell): string => {
    const text = cell === null ? "" : String(cell)
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return `${[columns, ...rows].map((cells) => cells.map(field).join(",")).join("\r\n")}\r\n`
}
