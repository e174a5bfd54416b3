/** Reads event logs from files as ledgers of facts. Columns are found by name; most are optional. */
import { type LoggedEvent, ledgersOf, type ParsedLog } from "../../../shared/learning/data/event-log.ts"
import { InputError, type Output } from "../subcommand.ts"
import { openTable } from "./read-table.ts"

/** Required columns. */
const NEEDED = ["type", "occurred_at"] as const
/** More events than this do not fit into memory as ledgers. */
const EVENTS_MAX = 20_000_000

/** Options for reading a log. */
export interface EventOptions {
  /** The column of the customer, in the log and in the snapshots. */
  readonly id: string
  /** Days of a billing month, for logs without period ends. */
  readonly monthDays: number
}

/**
 * The ledgers of a log, by customer. Throws `InputError` if the file is not a log or a time is invalid. An event without a
 * time of receipt counts as received when it occurred.
 */
export async function readEvents(path: string, { id, monthDays }: EventOptions, output: Output): Promise<ParsedLog> {
  const { header, rows } = await openTable(path, output)
  const customer = header.includes(id) ? id : "customer_id"
  const missing = [customer, ...NEEDED].filter((name) => !header.includes(name))
  if (missing.length > 0) {
    throw new InputError(
      `${path} is no event log: it has no column ${missing.join(", ")}; there are ${header.join(", ")}.`,
    )
  }
  const place = new Map(header.map((name, at) => [name, at]))
  const events: LoggedEvent[] = []
  for await (const { fields, line } of rows) {
    if (events.length === EVENTS_MAX)
      throw new InputError(`${path} has more than ${EVENTS_MAX} events; take a part of it.`)
    events.push(eventOf((name) => fields[place.get(name) ?? -1] ?? "", { customer, line, path }))
  }
  output.progress(`${events.length} events read`)
  const log = ledgersOf(events, { monthDays })
  const types = [...log.unread].map(([type, count]) => `${type} (${count})`)
  if (types.length > 0) output.err(`Events that say nothing to the features are passed over: ${types.join(", ")}.\n`)
  if (log.duplicates > 0) output.err(`${log.duplicates} events are there more than once and count once.\n`)
  return log
}

function eventOf(
  field: (name: string) => string,
  { customer, line, path }: { readonly customer: string; readonly line: number; readonly path: string },
): LoggedEvent {
  const time = (name: string): number | undefined => {
    const text = field(name).trim()
    if (text === "") return undefined
    const ms = timeOf(text)
    if (ms === null) throw new InputError(`${path}: ${name} is no time on line ${line}: ${text}.`)
    return ms
  }
  const occurredAtMs = time("occurred_at")
  if (occurredAtMs === undefined) throw new InputError(`${path}: occurred_at is empty on line ${line}.`)
  const periodEndMs = time("period_end")
  return {
    // Events without ids are never treated as repetitions.
    id: own(field("event_id")) ?? `line ${line}`,
    customer: own(field(customer)) ?? "",
    type: own(field("type")) ?? "",
    occurredAtMs,
    receivedAtMs: time("received_at") ?? occurredAtMs,
    ...text("plan"),
    ...text("interval"),
    ...text("currency"),
    ...text("sentiment"),
    ...text("invoice"),
    ...text("subscription"),
    ...text("reason"),
    ...number("amount"),
    ...number("attempt"),
    ...number("count"),
    ...(periodEndMs !== undefined && { periodEndMs }),
  }

  function text<Name extends string>(name: Name): { [K in Name]?: string } {
    const value = own(field(name))
    // TypeScript infers a computed key as string, which loses its name.
    return (value === undefined ? {} : { [name]: value }) as { [K in Name]?: string }
  }

  function number<Name extends string>(name: Name): { [K in Name]?: number } {
    const value = own(field(name))
    const amount = value === undefined ? Number.NaN : Number(value)
    // As above.
    return (Number.isFinite(amount) ? { [name]: amount } : {}) as { [K in Name]?: number }
  }
}

/** Stores each distinct word once and as a copy, because a substring would keep the file's text in memory. */
const KNOWN_WORDS = new Map<string, string>()
const KNOWN_WORDS_MAX = 1_000_000

function own(text: string): string | undefined {
  const word = text.trim()
  if (word === "") return undefined
  const known = KNOWN_WORDS.get(word)
  if (known !== undefined) return known
  const copy = Buffer.from(word).toString()
  if (KNOWN_WORDS.size < KNOWN_WORDS_MAX) KNOWN_WORDS.set(copy, copy)
  return copy
}

const DAY_MS = 86_400_000

/** Milliseconds of a date, or of a number in milliseconds, seconds or days by its size; null if invalid. */
export function timeOf(text: string): number | null {
  const number = Number(text)
  const ms = Number.isNaN(number) ? Date.parse(text) : inMilliseconds(number)
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? ms : null
}

const inMilliseconds = (number: number): number =>
  Math.abs(number) >= 1e11 ? number : Math.abs(number) >= 1e8 ? number * 1_000 : number * DAY_MS
