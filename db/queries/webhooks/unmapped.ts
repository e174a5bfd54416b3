/** Unmapped events: of an account that no company has registered. Stored separately until it is registered. */
import { and, desc, eq, lt, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import type { Db } from "../../client.ts"
import { unmappedEvents } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

export type UnmappedEvent = typeof unmappedEvents.$inferSelect

/** Stores an event once; false: it is stored already. One round trip. */
export async function recordUnmapped(db: Db, event: UnmappedEvent): Promise<boolean> {
  const rows = await db.insert(unmappedEvents).values(event).onConflictDoNothing().returning({ id: unmappedEvents.id })
  return rows.length > 0
}

const COLUMNS = {
  id: unmappedEvents.id,
  provider: unmappedEvents.provider,
  account: unmappedEvents.account,
  path: unmappedEvents.path,
  providerEventId: unmappedEvents.providerEventId,
  type: unmappedEvents.type,
  apiVersion: unmappedEvents.apiVersion,
  occurredAt: unmappedEvents.occurredAt,
  receivedAt: unmappedEvents.receivedAt,
} as const

export type UnmappedRow = Pick<UnmappedEvent, keyof typeof COLUMNS>

/** A page of unmapped events, the last received first. */
export async function listUnmapped(
  db: Db,
  filter: { readonly provider?: ProviderName | undefined; readonly providerEventId?: string | undefined },
  page: PageRequest,
): Promise<Page<UnmappedRow>> {
  const { after } = page
  const { provider, providerEventId } = filter
  const rows = await db
    .select(COLUMNS)
    .from(unmappedEvents)
    .where(
      and(
        provider && eq(unmappedEvents.provider, provider),
        providerEventId === undefined ? undefined : eq(unmappedEvents.providerEventId, providerEventId),
        after === null
          ? undefined
          : sql`(${unmappedEvents.receivedAt}, ${unmappedEvents.id})
              < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(unmappedEvents.receivedAt), desc(unmappedEvents.id))
    .limit(page.limit + 1)
  return pageOf(rows, page, (row) => ({ at: row.receivedAt, id: row.id }))
}

/** One unmapped event; null when there is none with that id. */
export async function readUnmapped(db: Db, id: string): Promise<UnmappedRow | null> {
  const rows = await db.select(COLUMNS).from(unmappedEvents).where(eq(unmappedEvents.id, id)).limit(1)
  return rows[0] ?? null
}

/** Events whose account a company has registered by now, oldest first. */
export async function mappableEvents(
  db: Db,
  own: { readonly keyAccount: string | null; readonly isAny: boolean; readonly companyId: string | null },
  limit: number,
): Promise<readonly { readonly id: string; readonly path: string }[]> {
  const { rows } = await db.execute<{ id: string; path: string }>(
    sql`select id, path from mappable_events(${own.keyAccount}, ${own.isAny}, ${own.companyId}, ${limit})`,
  )
  return rows
}

/** One unmapped event with its sealed payload; null when it is gone. */
export async function readUnmappedPayload(
  db: Db,
  { id, path }: Pick<UnmappedEvent, "id" | "path">,
): Promise<UnmappedEvent | null> {
  const rows = await db.select().from(unmappedEvents).where(isEvent(id, path))
  return rows[0] ?? null
}

/** Deletes an event, once it is recorded for its company. */
export async function removeUnmapped(db: Db, { id, path }: Pick<UnmappedEvent, "id" | "path">): Promise<void> {
  await db.delete(unmappedEvents).where(isEvent(id, path))
}

/** Deletes events received before this time; returns how many. */
export async function removeUnmappedBefore(db: Db, before: Date): Promise<number> {
  const rows = await db
    .delete(unmappedEvents)
    .where(lt(unmappedEvents.receivedAt, before))
    .returning({ id: unmappedEvents.id })
  return rows.length
}

const isEvent = (id: string, path: string) => and(eq(unmappedEvents.id, id), eq(unmappedEvents.path, path))
