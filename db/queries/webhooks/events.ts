/** Stored webhook events: what was received and its status. Only `readStoredEvent` reads the payload. */
import { and, desc, eq, gte, lt, type SQL, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { type EventStatus, isListedEvent, webhookEventKeys, webhookEvents } from "../../schema.ts"
import { afterPosition, foundPageOf, lookingUp, type Page, type PageRequest, searching } from "../platform/page.ts"
import { matchesCustomer } from "../recovery/customers.ts"

/** Filters of a list of events. */
export interface EventFilter {
  readonly status?: EventStatus | undefined
  readonly provider?: ProviderName | undefined
  readonly apiVersion?: string | undefined
  readonly type?: string | undefined
  /** Our id of the customer, or the provider's. */
  readonly customerId?: string | undefined
  readonly providerEventId?: string | undefined
  /** Received at this time or later. */
  readonly since?: Date | undefined
  /** Received before this time. */
  readonly until?: Date | undefined
}

/** Condition: not an event of a mode that the deployment ignores; such events are left out of all metrics. */
export const isOfMode = sql`(${webhookEvents.status} <> 'unhandled' or coalesce(${webhookEvents.error}, '') not in ('test_mode', 'live_mode'))`

/** Condition: an event with this id at its provider. The index is that of the keys, which give the partition. */
const hasProviderEventId = (companyId: string, providerEventId: string): SQL =>
  sql`(${webhookEvents.receivedAt}, ${webhookEvents.id}) in (
    select ${webhookEventKeys.receivedAt}, ${webhookEventKeys.eventId} from ${webhookEventKeys}
    where ${webhookEventKeys.companyId} = ${companyId} and ${webhookEventKeys.providerEventId} = ${providerEventId})`

const COLUMNS = {
  id: webhookEvents.id,
  companyId: webhookEvents.companyId,
  provider: webhookEvents.provider,
  providerEventId: webhookEvents.providerEventId,
  type: webhookEvents.type,
  apiVersion: webhookEvents.apiVersion,
  status: webhookEvents.status,
  attempts: webhookEvents.attempts,
  customerId: webhookEvents.customerId,
  occurredAt: webhookEvents.occurredAt,
  receivedAt: webhookEvents.receivedAt,
  processedAt: webhookEvents.processedAt,
  error: webhookEvents.error,
  isPayloadKept: sql<boolean>`${webhookEvents.payload} is not null`,
} as const

export type EventRow = Pick<typeof webhookEvents.$inferSelect, Exclude<keyof typeof COLUMNS, "isPayloadKept">> & {
  /** False once the payload was purged: then the event cannot be replayed. */
  readonly isPayloadKept: boolean
}

/** Condition: an event of this company that matches the filter. */
export const matchingEvents = (db: Db, companyId: string, filter: EventFilter): SQL | undefined =>
  and(
    eq(webhookEvents.companyId, companyId),
    isListedEvent,
    hasProperties(filter),
    isOneOfFew(db, companyId, filter),
    filter.since && gte(webhookEvents.receivedAt, filter.since),
    filter.until && lt(webhookEvents.receivedAt, filter.until),
  )

const hasProperties = ({ status, provider, type, apiVersion }: EventFilter): SQL | undefined =>
  and(
    status && eq(webhookEvents.status, status),
    provider && eq(webhookEvents.provider, provider),
    type === undefined ? undefined : eq(webhookEvents.type, type),
    apiVersion === undefined ? undefined : eq(webhookEvents.apiVersion, apiVersion),
  )

/** Conditions that an index serves; undefined without one. */
const isOneOfFew = (db: Db, companyId: string, { providerEventId, customerId }: EventFilter): SQL | undefined =>
  and(
    providerEventId === undefined ? undefined : hasProviderEventId(companyId, providerEventId),
    customerId === undefined ? undefined : matchesCustomer(db, webhookEvents.customerId, companyId, customerId),
  )

/** A page of a company's events, the last received first. */
export async function listEvents(
  db: Db,
  companyId: string,
  filter: Omit<EventFilter, "since" | "until">,
  page: PageRequest,
): Promise<Page<EventRow>> {
  const { from, where, columns } = eventSource(db, companyId, filter, page)
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ ...COLUMNS, ...columns })
      .from(from)
      .where(where)
      .orderBy(desc(webhookEvents.receivedAt), desc(webhookEvents.id))
      .limit(page.limit + 1),
  ])
  return foundPageOf(rows, page, (row) => ({ at: row.receivedAt, id: row.id }))
}

/** The newest first. */
const ORDER = { at: webhookEvents.receivedAt, id: webhookEvents.id }

function eventSource(db: Db, companyId: string, filter: EventFilter, { after }: PageRequest) {
  const within = and(eq(webhookEvents.companyId, companyId), afterPosition(ORDER, after))
  const matches = hasProperties(filter)
  // A literal, so that its partial index can be used.
  const isDead = filter.status === "dead" ? sql`${webhookEvents.status} = 'dead'` : undefined
  const few = and(isOneOfFew(db, companyId, filter), isDead)
  if (few !== undefined) return lookingUp(webhookEvents, and(within, few, matches))
  return searching(webhookEvents, ORDER, { within: and(within, isListedEvent), matches })
}

/** One event of a company; null when it has none with that id. */
export async function readEvent(db: Db, companyId: string, eventId: string): Promise<EventRow | null> {
  const [rows] = await inCompany(db, companyId, [
    db.select(COLUMNS).from(webhookEvents).where(isEvent(companyId, eventId)),
  ])
  return rows[0] ?? null
}

/** An event as it is stored; `payload` is sealed, and null once it was purged. */
export type StoredEvent = typeof webhookEvents.$inferSelect

/** The whole stored event, for processing it again; null when the company has none with that id. */
export async function readStoredEvent(db: Db, companyId: string, eventId: string): Promise<StoredEvent | null> {
  const [rows] = await inCompany(db, companyId, [db.select().from(webhookEvents).where(isEvent(companyId, eventId))])
  return rows[0] ?? null
}

/** Condition: the event with this id. Its row in `webhook_event_keys`, which is never deleted, gives the partition. */
const isEvent = (companyId: string, eventId: string): SQL | undefined =>
  and(
    eq(webhookEvents.companyId, companyId),
    eq(webhookEvents.id, eventId),
    sql`${webhookEvents.receivedAt} = (select ${webhookEventKeys.receivedAt} from ${webhookEventKeys}
      where ${webhookEventKeys.companyId} = ${companyId} and ${webhookEventKeys.eventId} = ${eventId})`,
  )
