/**
 * Converts a raw table to features: decides which columns are numbers, categories or not features. The decision uses whole
 * columns and does not depend on the order of rows. Remarks report what was left out and why.
 */
import type { ModelFeature } from "../../scoring/model/artefact.ts"
import { TableError } from "./csv.ts"
import type { Matrix } from "./matrix.ts"
import { levelOf, type RawColumn, type Table } from "./table.ts"

/** The most levels of a category; rarer ones count as missing, like levels that are new in scoring. */
const LEVELS_MAX = 250
/** A level with fewer rows has no predictive value. */
const LEVEL_ROWS_MIN = 5
/** A column of numbers may contain this share of words (`unknown`), which count as missing. */
const STRAY_SHARE_MAX = 0.02
/** With fewer different numbers, words in the column make it a category. */
const STRAY_NUMBERS_MIN = 20
/** A column with this share of different words identifies rows. */
const UNIQUE_SHARE_MIN = 0.9
/** A column named like an id is one if this share of its values is different. */
const NAMED_ID_SHARE_MIN = 0.05
const NAMED_ID_VALUES_MIN = 50
/** `customerID`, `account_id`, `uuid`; not `paid` or `valid`. */
const ENTITY_ID_NAME = /(?:^|[^A-Za-z])(?:id|ID|Id|uuid|UUID|guid|GUID|key)$|[a-z](?:ID|Id|UUID|Uuid|Key)$/
const ROW_NAME = /^(?:row[ _.]?(?:number|num|id|no)|index|unnamed: ?\d+|column \d+|x)$/i

/** Features with their values, and remarks on the other columns. */
export interface TypedTable {
  readonly matrix: Matrix
  /** Index of the column that identifies the customer, preferably one named like an id; null if there is none. */
  readonly idColumn: number | null
  /** What was left out and why, one sentence each, in column order. */
  readonly remarks: readonly string[]
}

/** Types all columns except `excluded` (label, id, time, dropped ones). Throws `TableError` if no feature is left. */
export function typeTable(table: Table, excluded: ReadonlySet<string>): TypedTable {
  const features: ModelFeature[] = []
  const columns: Float64Array[] = []
  const remarks: string[] = []
  let idColumn: number | null = null
  let isIdNamed = false
  table.columns.forEach((column, place) => {
    if (excluded.has(column.name)) return
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
    values: numbers.map((number) => (number === 0 ? 0 : number)), // -0 becomes 0, because hashes compare bits
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

/** Whether a column is named like an id: `customerID`, `account_id`, `uuid`; not `paid` or `valid`. */
export const isIdName = (name: string): boolean => ENTITY_ID_NAME.test(name)

/** Whether a column numbers the rows: consecutive whole numbers under a generic name. */
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
