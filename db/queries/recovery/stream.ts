/**
 * A customer's stream: records deliveries and reads the stream, one round trip each. Over 300 lines because all functions that
 * record events share the format of events and of streams.
 */
import { type SQL, sql } from "drizzle-orm"
import { toBase64 } from "../../../shared/crypto/bytes.ts"
import {
  type Fact,
  type Instant,
  type LedgerPosition,
  type ProviderName,
  rankOf,
} from "../../../shared/domain/facts.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import type { Undo } from "../../../shared/domain/recovery/undo.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { callFunction, type Db, type FunctionParameter, inCompany } from "../../client.ts"
import { type FactJson, factsFrom, instantOf } from "../platform/fact-json.ts"
import { bytesFromBase64 } from "../platform/parameters.ts"
import { type CustomerRef, readWhole, type Stream, type StreamReading } from "./ledger-pages.ts"

/** One verified delivery, ready to be recorded: payload sealed, facts free of personal data. */
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
  /** When its facts are recorded: later than `receivedAt` for a delivery from the fallback queue, or a replay. */
  readonly knownAt: Instant
  /** When the sweep takes it over if it is still unfinished. */
  readonly nextAttemptAt: Instant
  readonly customer: string | null
  readonly objects: readonly string[]
  readonly facts: readonly Fact[]
  /** The most events of one customer that are processed in an hour; more are stored and left to an operator. */
  readonly customerEventsMax: number
  readonly sealedPayload: Uint8Array
}

/** Why an event is stored as a dead letter: its customer has too many events within the hour, or too many object links. */
export type SetAsideReason = "customer_flood" | "too_many_links"

/** `stream` is null when there is nothing to fold: a duplicate, an unhandled or held event, an unknown customer. */
export interface RecordedDelivery {
  readonly isNew: boolean
  readonly setAside: SetAsideReason | null
  readonly stream: StreamReading | null
}

/**
 * Records events of one company with their facts and links, each unless it exists, and reads the streams of their customers:
 * one round trip, one transaction. Events of one customer have one stream in common, which holds the facts of all. Repeating
 * it with the same events changes nothing and returns `isNew: false`.
 */
export async function recordDeliveries(
  db: Db,
  companyId: string,
  events: readonly NewEvent[],
): Promise<readonly RecordedDelivery[]> {
  if (events.length === 0) return []
  const [row] = await callFunction<{ result: { outcomes: DeliveryOutcome[]; streams: StreamJson[] } }>(
    db,
    "record_deliveries",
    deliveryParameters(companyId, events),
  )
  const recorded = row?.result
  if (!recorded) throw new Error("record_deliveries returned nothing")
  const streams = new Map(recorded.streams.map((json) => [json.customer.id, readStreamJson(companyId, json)]))
  return recorded.outcomes.map(({ isNew, setAside, customerId }) => ({
    isNew,
    setAside,
    stream: customerId === null ? null : (streams.get(customerId) ?? null),
  }))
}

interface DeliveryOutcome {
  readonly isNew: boolean
  readonly setAside: SetAsideReason | null
  readonly customerId: string | null
}

/** The parameters of `record_deliveries`, in its order. */
function deliveryParameters(companyId: string, events: readonly NewEvent[]): FunctionParameter[] {
  const objects = events.flatMap((event, place) => event.objects.map((id) => ({ id, place: place + 1 })))
  const facts = events.flatMap((event, place) => event.facts.map((fact) => ({ fact, place: place + 1 })))
  const texts = (of: (event: NewEvent) => string | null) =>
    events.map((event) => {
      const text = of(event)
      return text === null ? null : storable(text)
    })
  return [
    companyId,
    // The same for all events of a deployment.
    events[0]?.customerEventsMax ?? 0,
    texts(({ id }) => id),
    texts(({ provider }) => provider),
    texts(({ account }) => account ?? ""),
    texts(({ providerEventId }) => providerEventId),
    texts(({ type }) => type),
    texts(({ apiVersion }) => apiVersion),
    texts(({ status }) => status),
    texts(({ error }) => error),
    texts(({ occurredAt }) => occurredAt),
    texts(({ receivedAt }) => receivedAt),
    texts(({ knownAt }) => knownAt),
    texts(({ nextAttemptAt }) => nextAttemptAt),
    texts(({ customer }) => customer),
    events.map(({ sealedPayload }) => toBase64(sealedPayload)),
    objects.map(({ place }) => place),
    objects.map(({ id }) => storable(id)),
    facts.map(({ place }) => place),
    facts.map(({ fact }) => fact.id),
    facts.map(({ fact }) => rankOf(fact.kind)),
    facts.map(({ fact }) => fact.occurredAt),
    storableJson(facts.map(({ fact: { id: _, occurredAt: __, ...body } }) => body)),
  ]
}

/** Records one event; see `recordDeliveries`. */
export async function recordDelivery(db: Db, event: NewEvent): Promise<RecordedDelivery> {
  const [recorded] = await recordDeliveries(db, event.companyId, [event])
  if (!recorded) throw new Error("record_deliveries returned nothing")
  return recorded
}

/**
 * Records an event that has no facts before its provider's API is called, unless it exists; its facts come with
 * `replayDelivery`. One round trip.
 */
export async function recordPending(db: Db, event: NewEvent): Promise<RecordedDelivery> {
  const { sealedPayload, ...rest } = event
  const result = await db.execute<{ outcome: { isNew: boolean; setAside?: SetAsideReason | null } }>(
    sql`select record_pending(${deliveryJson(rest)}::jsonb, decode(${toBase64(sealedPayload)}, 'base64')) as outcome`,
  )
  const outcome = result.rows[0]?.outcome
  if (!outcome) throw new Error("record_pending returned nothing")
  return { isNew: outcome.isNew, setAside: outcome.setAside ?? null, stream: null }
}

/** The result for a page of imported events: whether each was new, and the streams that have something to fold. */
export interface RecordedHistory {
  readonly outcomes: readonly { readonly isNew: boolean; readonly customerId?: string | null }[]
  readonly streams: readonly StreamReading[]
}

/**
 * Records a page of imported events, each once, counts them in their backfill and reads the whole streams of their
 * customers: one round trip, one transaction. Repeating it changes only the count of known events.
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
  if (!recorded) throw new Error("record_history returned nothing")
  return {
    outcomes: recorded.outcomes,
    streams: recorded.streams.map((stream) => readStreamJson(companyId, stream)),
  }
}

/**
 * The result for a batch of signals: the new ids, those of them that were set aside as dead letters, and the streams that
 * have something to fold.
 */
export interface RecordedSignals {
  readonly newIds: ReadonlySet<string>
  readonly setAside: Readonly<Record<string, SetAsideReason>>
  readonly streams: readonly StreamReading[]
}

/**
 * Records signals of a company about its customers, each `providerEventId` once, and reads the streams of the customers that
 * have something to fold: one round trip, one transaction. Repeating it changes nothing.
 */
export async function recordSignals(db: Db, companyId: string, events: readonly NewEvent[]): Promise<RecordedSignals> {
  if (events.length === 0) return { newIds: new Set(), setAside: {}, streams: [] }
  const [result] = await inCompany(db, companyId, [
    db.execute<{ recorded: { new: string[]; setAside: RecordedSignals["setAside"]; streams: StreamJson[] } }>(
      sql`select record_signals(${pageJson(events)}::jsonb) as recorded`,
    ),
  ])
  const recorded = result.rows[0]?.recorded
  if (!recorded) throw new Error("record_signals returned nothing")
  const streams = recorded.streams.map((stream) => readStreamJson(companyId, stream))
  return { newIds: new Set(recorded.new), setAside: recorded.setAside, streams }
}

/** A stored event, as it is normalized now. */
export type ReplayedEvent = Omit<NewEvent, "sealedPayload" | "status" | "customerEventsMax"> & {
  readonly status: "processed" | "unhandled"
  /** For a thin event, whose customer was not known when it was recorded. */
  readonly customerEventsMax?: number
}

/**
 * Adds the facts of a replayed event to the ledger, and reads the customer's whole stream. Existing facts do not change.
 * `stream` is null where the event names no customer, or was set aside as a dead letter.
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

/** Postgres stores neither NUL nor lone surrogates; both become U+FFFD here and are unchanged in the sealed payload. */
const storable = (text: string): string => text.toWellFormed().replaceAll("\u0000", "\ufffd")

function storableJson(value: unknown): string {
  const json = JSON.stringify(value)
  if (!UNSTORABLE.test(json)) return json
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "string" ? storable(part) : part))
}

/** What JSON.stringify writes for NUL and lone surrogates; more often than not, text that only looks like it. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/

/** The event as the database functions expect it in JSON: with the rank of each fact. */
function deliveryJson(event: Omit<ReplayedEvent, "status"> & { readonly status: string }): string {
  const { facts, account, ...rest } = event
  const delivery = {
    ...rest,
    eventId: rest.id,
    account: account ?? "",
    facts: facts.map(({ id, occurredAt, ...body }) => ({ id, occurredAt, rank: rankOf(body.kind), body })),
  }
  return storableJson(delivery)
}

/** Several events in one parameter, each with its payload as base64. */
const pageJson = (events: readonly NewEvent[]): string =>
  `[${events
    .map(({ sealedPayload, ...rest }) => `${deliveryJson(rest).slice(0, -1)},"payload":"${toBase64(sealedPayload)}"}`)
    .join()}]`

/** Reads all pages of a customer's stream; null when there is no such customer. `whole` reads the ledger from its beginning. */
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

/** Statement of `startStream`, for a batch; `streamFrom` reads its result. */
export const streamStatement = (db: Db, customerId: string | SQL, { whole }: { readonly whole: boolean }) =>
  db.execute<StreamRow>(sql`select read_stream(${customerId}, ${!whole}) as stream`)

/** The stream that `streamStatement` read; null when there is no such customer. */
export function streamFrom(companyId: string, result: { readonly rows: readonly StreamRow[] }): StreamReading | null {
  const json = result.rows[0]?.stream
  return json ? readStreamJson(companyId, json) : null
}

export type StreamRow = { readonly stream: StreamJson | null }

/** A stream as `read_streams` returns it. */
export type StreamJson = {
  readonly customer: CustomerRef
  readonly state: CustomerState | null
  readonly isWhole: boolean
  readonly isFromInstant: boolean
  readonly undo: Undo | null
  readonly facts: readonly FactJson[]
  readonly next: LedgerPosition | null
  readonly nudges: readonly Nudge[]
  readonly companyName: string | null
  readonly settings: unknown
  readonly contact: string | null
  readonly dataKey: string | null
}

/** The stream of a result of `read_streams`. */
export const readStreamJson = (companyId: string, json: StreamJson): StreamReading => ({
  companyId,
  customer: json.customer,
  snapshot: json.state,
  isWhole: json.isWhole,
  isFromInstant: json.isFromInstant,
  undo: json.undo,
  facts: factsFrom(json.facts),
  next: json.next,
  nudges: json.nudges.map((nudge) => ({
    ...nudge,
    dueAt: instantOf(nudge.dueAt),
    sentAt: nudge.sentAt === null ? null : instantOf(nudge.sentAt),
  })),
  companyName: json.companyName ?? "",
  settings: json.settings,
  sealedContact: json.contact === null ? null : bytesFromBase64(json.contact),
  wrappedDataKey: json.dataKey === null ? null : bytesFromBase64(json.dataKey),
})
