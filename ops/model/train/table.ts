/** `train --data`: any table with a label. */

import { TableError } from "../../../shared/learning/data/csv.ts"
import { readLabel, UNLABELLED } from "../../../shared/learning/data/label.ts"
import type { LabelledRows } from "../../../shared/learning/data/labelled-rows.ts"
import type { RawColumn, Table } from "../../../shared/learning/data/table.ts"
import { levelOf } from "../../../shared/learning/data/table.ts"
import { typeTable } from "../../../shared/learning/data/typed-table.ts"
import { trainModel } from "../../../shared/learning/train-model.ts"
import { CannotTrain } from "../../../shared/learning/training-error.ts"
import { readTable } from "../data/read-table.ts"
import { InputError, listOf, type Output, pathOf, readOptions, required } from "../subcommand.ts"
import { monotoneOf, readTrainOptions, TRAIN_OPTIONS, writeModel } from "./options.ts"
import type { TrainSource } from "./source.ts"

const OPTIONS = {
  ...TRAIN_OPTIONS,
  data: { type: "string" },
  label: { type: "string" },
  positive: { type: "string" },
  id: { type: "string" },
  time: { type: "string" },
  drop: { type: "string" },
} as const

const HELP = `--data FILE --label COL   any table: CSV, or CSV in gzip, one row a customer (or a customer at a time)
  --positive VALUE  the label's value that means "left", if it is not obvious (yes, true, 1, churned …)
  --id COL          the customer: rows of one customer are never on both sides of a split; not a feature
  --time COL        when a row's prediction is made (date or number): models are tested on later rows; not a feature
  --drop A,B        columns that are not features: known only afterwards, or not to be used
`

export const fromTable: TrainSource = {
  option: "data",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const path = pathOf(required(values.data, "data"))
    const labelName = required(values.label, "label")
    const options = readTrainOptions(values)
    const table = await readTable(path, output)
    try {
      const columns = { label: labelName, id: values.id, time: values.time, drop: listOf(values.drop) }
      const { rows, typed, notes } = labelledRows(table, columns, values.positive, output)
      const monotone = monotoneOf(values.monotone, typed.matrix.features)
      const settings = { ...options, label: labelName, monotone, notes }
      const trained = await trainModel(rows, settings, output.progress)
      await writeModel(trained, values, output)
    } catch (error) {
      if (error instanceof TableError || error instanceof CannotTrain) throw new InputError(sentence(error.message))
      throw error
    }
  },
}

const sentence = (text: string): string => {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.?!]$/.test(begun) ? begun : `${begun}.`
}

interface Columns {
  readonly label: string
  readonly id: string | undefined
  readonly time: string | undefined
  readonly drop: readonly string[]
}

/** Features, outcomes, customers and times; rows without a label are left out, with a remark. */
function labelledRows(
  table: Table,
  { label: labelName, id, time, drop }: Columns,
  positive: string | undefined,
  output: Output,
) {
  const label = readLabel(columnOf(table, labelName), positive === undefined ? {} : { positive })
  const idColumn = id === undefined ? null : columnOf(table, id)
  const timeColumn = time === undefined ? null : columnOf(table, time)
  for (const name of drop) columnOf(table, name)
  const taken = new Set([labelName, ...(id === undefined ? [] : [id]), ...(time === undefined ? [] : [time]), ...drop])
  const labelled = Uint32Array.from(label.outcomes.keys()).filter((row) => label.outcomes[row] !== UNLABELLED)
  const known = label.unlabelled === 0 ? table : withRows(table, labelled)
  const typed = typeTable(known, taken)
  for (const remark of typed.remarks) output.err(`${remark}\n`)
  if (label.unlabelled > 0) output.err(`${label.unlabelled} rows have no ${labelName} and are left out.\n`)
  output.err(`${label.events} of ${labelled.length} rows have ${labelName} ${label.positive}.\n`)
  const found = idColumn ?? (typed.idColumn === null ? null : (table.columns[typed.idColumn] ?? null))
  const rows: LabelledRows = {
    matrix: typed.matrix,
    outcomes: Uint8Array.from(labelled, (row) => label.outcomes[row] ?? 0),
    customers: found === null ? null : Array.from(labelled, (row) => categoryAt(found, row)),
    times: timeColumn === null ? null : timesOf(timeColumn, labelled),
  }
  const notes: Record<string, string> = {
    positive: label.positive,
    columns: typed.remarks.join(" ") || "all are features",
    ...(found !== null && { id: found.name }),
  }
  return { rows, typed, notes }
}

/** The column with a name. Throws `InputError` with the existing names. */
export function columnOf(table: Table, name: string): RawColumn {
  const column = table.columns.find((each) => each.name === name)
  if (column !== undefined) return column
  throw new InputError(`There is no column ${name}; there are ${table.columns.map((each) => each.name).join(", ")}.`)
}

function withRows(table: Table, rows: Uint32Array): Table {
  const columns = table.columns.map((column) => ({
    ...column,
    numbers: Float64Array.from(rows, (row) => column.numbers[row] ?? Number.NaN),
    places: column.places === null ? null : Int32Array.from(rows, (row) => column.places?.[row] ?? -1),
  }))
  return { rows: rows.length, columns }
}

/** A field as a category; null if missing. */
export function categoryAt({ numbers, places, words }: RawColumn, row: number): string | null {
  const number = numbers[row] ?? Number.NaN
  return Number.isNaN(number) ? (words[places?.[row] ?? -1] ?? null) : levelOf(number)
}

/** Times in milliseconds, from dates or from numbers in milliseconds, seconds or days by their size. */
function timesOf(column: RawColumn, rows: Uint32Array): Float64Array {
  return Float64Array.from(rows, (row) => {
    const word = categoryAt(column, row)
    const number = column.numbers[row] ?? Number.NaN
    const time = Number.isNaN(number) ? instantOf(word ?? "") : inMilliseconds(number)
    if (Number.isFinite(time) && Math.abs(time) < 8.64e15) return time
    throw new InputError(`${column.name} is no time in row ${row + 1}: ${word ?? "it is empty"}.`)
  })
}

/** A date without a time zone is in UTC, independent of the machine. */
function instantOf(word: string): number {
  const inUtc = Date.parse(/^\d{4}-\d\d-\d\d[ T]\d/.test(word) ? `${word.replace(" ", "T")}Z` : `${word} UTC`)
  return Number.isNaN(inUtc) ? Date.parse(word) : inUtc
}

const DAY_MS = 86_400_000
const inMilliseconds = (number: number): number =>
  Math.abs(number) >= 1e11 ? number : Math.abs(number) >= 1e8 ? number * 1_000 : number * DAY_MS
