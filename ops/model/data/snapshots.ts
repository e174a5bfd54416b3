/**
 * Snapshots: rows with a customer and a time, and features from an event log as of then. They are read as a table with the
 * features as columns, so that all table commands accept them.
 */
import { type Features, featureSchema, features } from "../../../shared/domain/scoring/features.ts"
import type { CsvRow } from "../../../shared/learning/data/csv.ts"
import type { ParsedLog } from "../../../shared/learning/data/event-log.ts"
import type { Model } from "../../../shared/scoring/model/model.ts"
import { InputError, type Output, pathOf, required, wholeNumber } from "../subcommand.ts"
import { readEvents, timeOf } from "./read-events.ts"
import { openTable, type RowStream } from "./read-table.ts"

/** The options for an event log and the columns of the snapshots. */
export const EVENT_OPTIONS = {
  events: { type: "string" },
  time: { type: "string" },
  group: { type: "string" },
  "month-days": { type: "string" },
} as const

/** The help of these options, for commands that score snapshots. */
export const EVENT_HELP = `  --events FILE     the rows are snapshots of customers: they are described by this log of events, as in train --events
  --time COL        with --events: the time of a snapshot (as in training)
  --group COL       the company of each row, whose own intercept counts (as in training)
  --month-days N    with --events: days of a month of billing (30)
`

/** Rows between two lines of progress. */
const PROGRESS_ROWS = 2_000

/** The event log, and the columns of a snapshot's customer and time. */
export interface SnapshotOptions {
  readonly events: string
  readonly id: string
  readonly time: string
  readonly monthDays: number
}

/** One snapshot: the original row, its customer and time, and the features. */
export interface Snapshot {
  readonly row: CsvRow
  readonly customer: string
  readonly atMs: number
  readonly values: Features
}

export interface SnapshotStream {
  readonly header: readonly string[]
  readonly log: ParsedLog
  readonly snapshots: AsyncGenerator<Snapshot>
}

/** The snapshots of a file, in its order. Throws `InputError` for a missing column or an invalid time. */
export async function openSnapshots(path: string, options: SnapshotOptions, output: Output): Promise<SnapshotStream> {
  const { header, rows } = await openTable(path, output)
  for (const name of [options.id, options.time]) {
    if (!header.includes(name)) throw new InputError(`There is no column ${name}; there are ${header.join(", ")}.`)
  }
  const log = await readEvents(options.events, options, output)
  return { header, log, snapshots: described({ header, rows }, log, options, output) }
}

async function* described(
  { header, rows }: RowStream,
  { ledgers }: ParsedLog,
  { id, time }: SnapshotOptions,
  output: Output,
): AsyncGenerator<Snapshot> {
  const [idAt, timeAt] = [header.indexOf(id), header.indexOf(time)]
  let [count, unmatched] = [0, 0]
  for await (const row of rows) {
    const customer = (row.fields[idAt] ?? "").trim()
    const atMs = timeOf(row.fields[timeAt] ?? "")
    if (atMs === null) throw new InputError(`${time} is no time on line ${row.line}: ${row.fields[timeAt]}.`)
    const ledger = ledgers.get(customer)
    if (ledger === undefined) unmatched += 1
    yield { row, customer, atMs, values: features(ledger ?? [], new Date(atMs).toISOString()) }
    count += 1
    if (count % PROGRESS_ROWS === 0) output.progress(`${count} snapshots described`)
  }
  if (count > 0 && unmatched === count) throw new InputError("The log has no event of any customer of the snapshots.")
  if (unmatched > 0) output.err(`${unmatched} of ${count} snapshots are of customers without an event.\n`)
}

/** The command-line options of a table that may contain snapshots. */
interface Given {
  readonly events?: string | undefined
  readonly id?: string | undefined
  readonly time?: string | undefined
  readonly "month-days"?: string | undefined
}

/** The options of snapshots; defaults are those of the training in a model's `notes`. Throws `InputError`. */
export function snapshotOptions(given: Given, notes: Readonly<Record<string, string | number>> = {}): SnapshotOptions {
  const noted = (name: string) => (notes[name] === undefined ? undefined : String(notes[name]))
  return {
    events: pathOf(required(given.events, "events")),
    id: required(given.id ?? noted("id"), "id"),
    time: required(given.time ?? noted("time"), "time"),
    monthDays: wholeNumber(given["month-days"] ?? noted("monthDays"), "month-days", { min: 1, max: 366, fallback: 30 }),
  }
}

/** The rows of a table, with features from an event log if one is given. */
export const openRows = (path: string, given: Given, model: Model, output: Output): Promise<RowStream> =>
  given.events === undefined
    ? openTable(path, output)
    : openDescribed(path, snapshotOptions(given, model.artefact.training.notes), output)

/** Snapshots as a table: their own columns, then the features. Own columns named like a feature are dropped. */
async function openDescribed(path: string, options: SnapshotOptions, output: Output): Promise<RowStream> {
  const { header, snapshots } = await openSnapshots(path, options, output)
  const isFeature = new Set<string>(featureSchema.map(({ name }) => name))
  const kept = header.flatMap((name, place) => (isFeature.has(name) ? [] : [place]))
  const names = [...kept.map((place) => header[place] ?? ""), ...isFeature]
  async function* rows(): AsyncGenerator<CsvRow> {
    for await (const { row, values } of snapshots) {
      const own = kept.map((place) => row.fields[place] ?? "")
      // `String` of a number parses to the same number, so nothing is lost.
      yield { fields: [...own, ...featureSchema.map(({ name }) => String(values[name] ?? ""))], line: row.line }
    }
  }
  return { header: names, rows: rows() }
}
