/**
 * From a raw table to features: which columns are numbers, which are categories, which are no features at all. The choice
 * rests on whole columns, never on the order of rows. What was left out and why is told in remarks.
 */
import type { ModelFeature } from "../../scoring/artefact.ts"
import { TableError } from "./csv.ts"
import type { Matrix } from "./matrix.ts"
import { levelOf, type RawColumn, type Table } from "./table.ts"

/** Levels that a category may have; the rarer ones beyond count as missing, as do levels that are new when scoring. */
const LEVELS_MAX = 250
/** A level with fewer rows says nothing about the next customer who has it. */
const LEVEL_ROWS_MIN = 5
/** A column of numbers may have this share of stray words (`unknown`), which then count as missing. */
const STRAY_SHARE_MAX = 0.02
/** With fewer different numbers than this, words among them make the column a category. */
const STRAY_NUMBERS_MIN = 20
/** Words that are different in so many rows name the row. */
const UNIQUE_SHARE_MIN = 0.9
/** A column that is called an id is one when so many of its values are different. */
const NAMED_ID_SHARE_MIN = 0.05
const NAMED_ID_VALUES_MIN = 50
/** `customerID`, `account_id`, `uuid`; not `paid` or `valid`. */
const ENTITY_ID_NAME = /(?:^|[^A-Za-z])(?:id|ID|Id|uuid|UUID|guid|GUID|key)$|[a-z](?:ID|Id|UUID|Uuid|Key)$/
const ROW_NAME = /^(?:row[ _.]?(?:number|num|id|no)|index|unnamed: ?\d+|column \d+|x)$/i

/** Features with their values, and what became of the other columns. */
export interface TypedTable {
  readonly matrix: Matrix
  /** The column that names the row's customer, preferably by its own name: the place among all columns; null where none does. */
  readonly idColumn: number | null
  /** What was left out and why, one sentence each, in the order of the columns. */
  readonly remarks: readonly string[]
}

/** Decides on every column but those in `not` (label, id, time, what the caller drops). Throws `TableError` when no feature is left. */
export function typeTable(table: Table, not: ReadonlySet<string>): TypedTable {
  const features: ModelFeature[] = []
  const columns: Float64Array[] = []
  const remarks: string[] = []
  let idColumn: number | null = null
  let isIdNamed = false
  table.columns.forEach((column, place) => {
    if (not.has(column.name)) return
    const typed = typeColumn(column, table.rows)
    if ("dropped" in typed) {
      remarks.push(`${column.name} is left out: ${typed.dropped}.`)
      const isNamed = isIdName(column.name)
      if (typed.isId === true && (idColumn === null || (isNamed && !isIdNamed)))
        [idColumn, isIdNamed] = [place, isNamed]
      return
    }
    features.push(typed.feature)
    columns.push(typed.values)
    if (typed.remark !== undefined) remarks.push(`${column.name}: ${typed.remark}.`)
  })
  if (features.length === 0) throw new TableError(`No column is left to learn from. ${remarks.join(" ")}`.trim())
  return { matrix: { features, columns, rows: table.rows }, idColumn, remarks }
}

type Typed =
  | { readonly feature: ModelFeature; readonly values: Float64Array; readonly remark?: string }
  | { readonly dropped: string; readonly isId?: boolean }

function typeColumn(column: RawColumn, rows: number): Typed {
  const { name, numbers, places, words } = column
  let [numeric, worded] = [0, 0]
  const different = new Set<number>()
  for (let row = 0; row < rows; row++) {
    const number = numbers[row] ?? Number.NaN
    if (!Number.isNaN(number)) {
      numeric += 1
      if (different.size <= rows * UNIQUE_SHARE_MIN) different.add(number)
    } else if ((places?.[row] ?? -1) >= 0) worded += 1
  }
  if (column.hasMoreWords) return { dropped: "it has too many different words", isId: isIdName(name) }
  if (numeric + worded === 0) return { dropped: "it is empty in every row" }
  const isNumber =
    worded === 0 || (worded <= STRAY_SHARE_MAX * (numeric + worded) && different.size >= STRAY_NUMBERS_MIN)
  if (!isNumber) return typeWords(column, rows, numeric + worded)
  if (different.size === 1 && numeric === rows) return { dropped: "it is the same in every row" }
  if (isRowNumber(column, numeric, different.size)) return { dropped: "it numbers the rows" }
  const isMany = different.size > Math.max(NAMED_ID_VALUES_MIN, NAMED_ID_SHARE_MIN * rows)
  if (isMany && isIdName(name) && areWhole(numbers)) return { dropped: "it names the customer", isId: true }
  const remark = worded === 0 ? undefined : `${words.slice(0, 3).join(", ")} among the numbers count as missing`
  return {
    feature: { name, type: "number" },
    values: numbers.map((number) => (number === 0 ? 0 : number)), // -0 is 0, also to those who look at bits
    ...(remark !== undefined && { remark }),
  }
}

/** A category; its levels are in alphabetical order. */
function typeWords({ name, numbers, places, words }: RawColumn, rows: number, known: number): Typed {
  const counts = new Map<string, number>()
  const levelAt = (row: number): string | null => {
    const word = words[places?.[row] ?? -1]
    if (word !== undefined) return word
    const number = numbers[row] ?? Number.NaN
    return Number.isNaN(number) ? null : levelOf(number)
  }
  for (let row = 0; row < rows; row++) {
    const level = levelAt(row)
    if (level !== null) counts.set(level, (counts.get(level) ?? 0) + 1)
  }
  const isMany = counts.size > Math.max(NAMED_ID_VALUES_MIN, NAMED_ID_SHARE_MIN * rows)
  if (counts.size > UNIQUE_SHARE_MIN * known && known > 2)
    return { dropped: "it is different in nearly every row", isId: true }
  if (isMany && isIdName(name)) return { dropped: "it names the customer", isId: true }
  if (counts.size === 1 && known === rows) return { dropped: "it is the same in every row" }
  const kept = [...counts]
    .filter(([, count]) => count >= LEVEL_ROWS_MIN)
    .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .slice(0, LEVELS_MAX)
  if (kept.length === 0) return { dropped: `none of its ${counts.size} values is in ${LEVEL_ROWS_MIN} rows` }
  const levels = kept.map(([level]) => level).sort()
  const placeOf = new Map(levels.map((level, place) => [level, place]))
  const values = new Float64Array(rows)
  for (let row = 0; row < rows; row++) values[row] = placeOf.get(levelAt(row) ?? "") ?? Number.NaN
  const rest = counts.size - levels.length
  return {
    feature: { name, type: "category", levels },
    values,
    ...(rest > 0 && { remark: `${rest} of its ${counts.size} values are too rare and count as one` }),
  }
}

/** Whether a column is called an id: `customerID`, `account_id`, `uuid`; not `paid` or `valid`. */
export const isIdName = (name: string): boolean => ENTITY_ID_NAME.test(name)

/** Whole numbers without a gap and without a repetition, under a name that says no more. */
function isRowNumber({ name, numbers }: RawColumn, numeric: number, different: number): boolean {
  if (numeric !== numbers.length || numeric < 3 || !(ROW_NAME.test(name) || isIdName(name))) return false
  if (different <= numeric * UNIQUE_SHARE_MIN) return false
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const number of numbers) {
    least = Math.min(least, number)
    most = Math.max(most, number)
  }
  return areWhole(numbers) && most - least + 1 === numeric
}

const areWhole = (numbers: Float64Array): boolean =>
  numbers.every((number) => Number.isNaN(number) || Number.isInteger(number))
