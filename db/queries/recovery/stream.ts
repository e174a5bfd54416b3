/** A customer's stream: recording a delivery into it and reading it back, one round trip each. */
import { sql } from "drizzle-orm"
import {
  type Fact,
  type Instant,
  type LedgerPosition,
  type ProviderName,
  rankOf,
} from "../../../shared/domain/facts.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { type FactJson, factsFrom, instantOf } from "../platform/fact-json.ts"
import { type CustomerRef, readWhole, type Stream, type StreamReading } from "./ledger-pages.ts"

/** One verified delivery, ready to be written: payload sealed, facts free of personal data. */
export interface NewEvent {
  readonly id: string
  readonly companyId: string
  readonly provider: ProviderName
  readonly account: string | null
  readonly providerEventId: string
  readonly type: string
  readonly apiVersion: string | null
  readonly status: "received" | "held" | "unhandled"
  readonly error: string | null
  readonly occurredAt: Instant
  readonly receivedAt: Instant
  /** When its facts are written down: later than `receivedAt` for a copy that was parked, or is read once more. */
  readonly knownAt: Instant
  /** From when on the sweeper may take it for lost. */
  readonly nextAttemptAt: Instant
  readonly customer: string | null
  readonly objects: readonly string[]
  readonly facts: readonly Fact[]
  /** How many events of one customer are processed in an hour; one more is kept, and left to a person. */
  readonly customerEventsMax: number
  readonly sealedPayload: Uint8Array
}

/** Why an event is kept as dead and not processed: its customer has too many events within the hour, or too many links. */
export type SetAsideReason = "customer_flood" | "too_many_links"

/** `stream` is null when there is nothing to fold yet: a duplicate, an unhandled or held event, an unknown customer. */
export interface RecordedDelivery {
  readonly isNew: boolean
  readonly setAside: SetAsideReason | null
  readonly stream: StreamReading | null
}

/**
 * Writes the event with its facts and links, unless it is there already, and reads the customer's stream: one round trip,
 * one transaction. Calling it again with the same event changes nothing and says `isNew: false`.
 */
export async function recordDelivery(db: Db, event: NewEvent): Promise<RecordedDelivery> {
  const { sealedPayload, ...rest } = event
  const result = await db.execute<{
    outcome: { isNew: boolean; setAside?: SetAsideReason; stream?: StreamJson | null }
  }>(sql`select record_delivery(${deliveryJson(rest)}::jsonb, decode(${toBase64(sealedPayload)}, 'base64')) as outcome`)
  const outcome = result.rows[0]?.outcome
  if (!outcome) throw new Error("record_delivery answered nothing")
  const { isNew, setAside = null } = outcome
  return { isNew, setAside, stream: outcome.stream ? readStreamJson(event.companyId, outcome.stream) : null }
}

/**
 * Writes an event that says nothing before its provider was asked, unless it is there already; its facts come with
 * `replayDelivery`. One round trip.
 */
export async function recordPending(db: Db, event: NewEvent): Promise<RecordedDelivery> {
  const { sealedPayload, ...rest } = event
  const result = await db.execute<{ outcome: { isNew: boolean; setAside?: SetAsideReason | null } }>(
    sql`select record_pending(${deliveryJson(rest)}::jsonb, decode(${toBase64(sealedPayload)}, 'base64')) as outcome`,
  )
  const outcome = result.rows[0]?.outcome
  if (!outcome) throw new Error("record_pending answered nothing")
  return { isNew: outcome.isNew, setAside: outcome.setAside ?? null, stream: null }
}

/** What became of a page of imported events: of each whether it was new, and the streams that have something to fold. */
export interface RecordedHistory {
  readonly outcomes: readonly { readonly isNew: boolean; readonly customerId?: string | null }[]
  readonly streams: readonly StreamReading[]
}

/**
 * Writes a page of imported events, each once for good, counts them in their backfill and reads the streams of the
 * customers they concern, whole: one round trip, one transaction. Repeating it changes nothing but the count of the known.
 */
export async function recordHistory(
  db: Db,
  {
    companyId,
    backfillId,
    events,
    now,
  }: {
    readonly companyId: string
    readonly backfillId: string
    readonly events: readonly NewEvent[]
    readonly now: Instant
  },
): Promise<RecordedHistory> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ recorded: { outcomes: RecordedHistory["outcomes"]; streams: StreamJson[] } }>(
      sql`select record_history(${backfillId}, ${pageJson(events)}::jsonb, ${now}::timestamptz) as recorded`,
    ),
  ])
  const recorded = result.rows[0]?.recorded
  if (!recorded) throw new Error("record_history answered nothing")
  return {
    outcomes: recorded.outcomes,
    streams: recorded.streams.map((stream) => readStreamJson(companyId, stream)),
  }
}

/**
 * What became of a batch of signals: the ids that were new, those of them that were set aside, and the streams that have
 * something to fold.
 */
export interface RecordedSignals {
  readonly newIds: ReadonlySet<string>
  readonly setAside: Readonly<Record<string, SetAsideReason>>
  readonly streams: readonly StreamReading[]
}

/**
 * Writes what a company tells of its customers, each once for good under its `providerEventId`, and reads the streams of
 * the customers that have something to fold: one round trip, one transaction. Repeating it changes nothing.
 */
export async function recordSignals(db: Db, companyId: string, events: readonly NewEvent[]): Promise<RecordedSignals> {
  if (events.length === 0) return { newIds: new Set(), setAside: {}, streams: [] }
  const [result] = await inCompany(db, companyId, [
    db.execute<{ recorded: { new: string[]; setAside: RecordedSignals["setAside"]; streams: StreamJson[] } }>(
      sql`select record_signals(${pageJson(events)}::jsonb) as recorded`,
    ),
  ])
  const recorded = result.rows[0]?.recorded
  if (!recorded) throw new Error("record_signals answered nothing")
  const streams = recorded.streams.map((stream) => readStreamJson(companyId, stream))
  return { newIds: new Set(recorded.new), setAside: recorded.setAside, streams }
}

/** An event that is stored already, as it is read today. */
export type ReplayedEvent = Omit<NewEvent, "sealedPayload" | "status" | "customerEventsMax"> & {
  readonly status: "processed" | "unhandled"
  /** Of a thin event, whose customer is known only now. */
  readonly customerEventsMax?: number
}

/**
 * Takes what is read in a stored event today into the ledger, and reads the customer's whole stream. Facts that are there
 * stay as they are. `stream` is null where it names no customer, or was set aside.
 */
export async function replayDelivery(
  db: Db,
  event: ReplayedEvent,
): Promise<{ readonly setAside: SetAsideReason | null; readonly stream: StreamReading | null }> {
  const [result] = await inCompany(db, event.companyId, [
    db.execute<{ outcome: StreamJson | { readonly setAside: SetAsideReason } | null }>(
      sql`select replay_delivery(${deliveryJson(event)}::jsonb) as outcome`,
    ),
  ])
  const outcome = result.rows[0]?.outcome ?? null
  if (outcome !== null && "setAside" in outcome) return { setAside: outcome.setAside, stream: null }
  return { setAside: null, stream: outcome === null ? null : readStreamJson(event.companyId, outcome) }
}

/**
 * The event as the database's functions take it: with the rank of each fact beside it. Postgres holds no NUL and no half
 * of a surrogate pair; both stand as U+FFFD here and unchanged in the sealed payload.
 */
function deliveryJson(event: Omit<ReplayedEvent, "status"> & { readonly status: string }): string {
  const { facts, account, ...rest } = event
  const delivery = {
    ...rest,
    eventId: rest.id,
    account: account ?? "",
    facts: facts.map(({ id, occurredAt, ...body }) => ({ id, occurredAt, rank: rankOf(body.kind), body })),
  }
  return JSON.stringify(delivery, (_, value: unknown) =>
    typeof value === "string" ? value.toWellFormed().replaceAll("\u0000", "\ufffd") : value,
  )
}

/** Several events in one parameter, each with its payload in base64. */
const pageJson = (events: readonly NewEvent[]): string =>
  `[${events
    .map(({ sealedPayload, ...rest }) => `${deliveryJson(rest).slice(0, -1)},"payload":"${toBase64(sealedPayload)}"}`)
    .join()}]`

/** Reads a customer's stream, all pages of it; null when there is no such customer. `whole` reads the ledger from its beginning. */
export const loadStream = (
  db: Db,
  companyId: string,
  customerId: string,
  { whole }: { readonly whole: boolean },
): Promise<Stream | null> => readWhole(db, () => startStream(db, companyId, customerId, { whole }))

/** The first reading of a customer's stream, in one round trip; null when there is no such customer. */
export async function startStream(
  db: Db,
  companyId: string,
  customerId: string,
  { whole }: { readonly whole: boolean },
): Promise<StreamReading | null> {
  const [result] = await inCompany(db, companyId, [streamStatement(db, customerId, { whole })])
  return streamFrom(companyId, result)
}

/** The statement of `startStream`, for a batch of which it is a part; `streamFrom` reads its result. */
export const streamStatement = (db: Db, customerId: string, { whole }: { readonly whole: boolean }) =>
  db.execute<StreamRow>(sql`select read_stream(${customerId}, ${!whole}) as stream`)

/** The stream that `streamStatement` read; null when there is no such customer. */
export function streamFrom(companyId: string, result: { readonly rows: readonly StreamRow[] }): StreamReading | null {
  const json = result.rows[0]?.stream
  return json ? readStreamJson(companyId, json) : null
}

export type StreamRow = { readonly stream: StreamJson | null }

type StreamJson = {
  readonly customer: CustomerRef
  readonly state: CustomerState | null
  readonly isWhole: boolean
  readonly facts: readonly FactJson[]
  readonly next: LedgerPosition | null
  readonly nudges: readonly Nudge[]
  readonly companyName: string | null
  readonly settings: unknown
  readonly contact: string | null
  readonly dataKey: string | null
}

const readStreamJson = (companyId: string, json: StreamJson): StreamReading => ({
  companyId,
  customer: json.customer,
  snapshot: json.state,
  isWhole: json.isWhole,
  facts: factsFrom(json.facts),
  next: json.next,
  nudges: json.nudges.map((nudge) => ({
    ...nudge,
    dueAt: instantOf(nudge.dueAt),
    sentAt: nudge.sentAt === null ? null : instantOf(nudge.sentAt),
  })),
  companyName: json.companyName ?? "",
  settings: json.settings,
  sealedContact: json.contact === null ? null : fromBase64(json.contact),
  wrappedDataKey: json.dataKey === null ? null : fromBase64(json.dataKey),
})

function toBase64(bytes: Uint8Array): string {
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** Postgres breaks base64 into lines. */
const fromBase64 = (text: string): Uint8Array =>
  Uint8Array.from(atob(text.replaceAll("\n", "")), (character) => character.charCodeAt(0))
