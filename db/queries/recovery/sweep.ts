/** Unfinished work of all companies, for the sweep: ids only. */
import { and, eq, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { objectLinks } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"
import type { EventRef } from "./commit.ts"
import type { StreamReading } from "./ledger-pages.ts"
import { type StreamRow, streamFrom } from "./stream.ts"

/**
 * Unfinished events of these companies or, with null, of all. Round-robin by company, each company's in the order of arrival
 * or next attempt, so that a large company does not delay the others.
 */
export async function unfinishedEvents(
  db: Db,
  now: Date,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly { readonly companyId: string; readonly id: string }[]> {
  const result = await db.execute<{ company_id: string; id: string }>(
    sql`select company_id, id from unfinished_events(${now.toISOString()}, ${limit}, ${textArray(companies)})`,
  )
  return result.rows.map((row) => ({ companyId: row.company_id, id: row.id }))
}

/** The caller folds at once; the sweep takes over after this time. */
const SWEEP_AFTER_MS = 60_000

export interface WaitingObject {
  readonly companyId: string
  readonly provider: ProviderName
  readonly objectId: string
}

/** Objects whose customer has been unknown since before `before`, and that were not looked up since then. */
export async function waitingObjects(db: Db, before: Date, limit: number): Promise<readonly WaitingObject[]> {
  const result = await db.execute<{ company_id: string; provider: ProviderName; object_id: string }>(
    sql`select company_id, provider, object_id from waiting_objects(${before.toISOString()}, ${limit})`,
  )
  return result.rows.map((row) => ({ companyId: row.company_id, provider: row.provider, objectId: row.object_id }))
}

/** Records that an object was looked up at the provider, so that it is not looked up again at once. */
export async function recordLookup(db: Db, { companyId, provider, objectId }: WaitingObject, now: Date): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(objectLinks)
      .set({ askedAt: now })
      .where(
        and(
          eq(objectLinks.companyId, companyId),
          eq(objectLinks.provider, provider),
          eq(objectLinks.objectId, objectId),
        ),
      ),
  ])
}

/**
 * Links objects to the customer that the provider named, and reads that customer's whole ledger, including the facts that
 * waited for the link. The events of those facts become unfinished again, so that the sweep takes over if the caller fails.
 */
export async function linkToCustomer(
  db: Db,
  { companyId, provider, objectId }: WaitingObject,
  customer: string,
  objects: readonly string[],
  now: Date,
): Promise<{ readonly stream: StreamReading | null; readonly events: readonly EventRef[] }> {
  const customerId = `${provider}_${customer}`
  const later = new Date(now.getTime() + SWEEP_AFTER_MS)
  const all = sql.join(
    [objectId, ...objects].map((id) => sql`${id}`),
    sql`, `,
  )
  const [, , , reopened, result] = await inCompany(db, companyId, [
    db.execute(
      sql`insert into customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
        values (app_company(), ${customerId}, ${provider}, ${customer}, ${now.toISOString()}, ${now.toISOString()})
        on conflict do nothing`,
    ),
    // As in place_facts: facts that join the ledger now get a later known_at than a score that is being written.
    db.execute(sql`select pg_advisory_xact_lock_shared(knowledge_lock(${customerId}))`),
    db.execute(
      sql`select root from tie_objects(
        ${provider}, ${customer}, array[${all}]::text[], known_from(${customerId}, ${now.toISOString()}::timestamptz)
      )`,
    ),
    db.execute<{ id: string; received_at: string }>(sql`
      update webhook_events e set status = 'received', next_attempt_at = ${later.toISOString()}
      from webhook_event_keys k
      where k.company_id = app_company() and k.event_id in (
          select f.event_id from facts f
          where f.company_id = app_company() and f.provider = ${provider} and f.subject = any(array[${all}]::text[])
        )
        and e.company_id = k.company_id and e.id = k.event_id and e.received_at = k.received_at
      returning e.id, e.received_at`),
    db.execute<StreamRow>(sql`select read_stream(${customerId}, false) as stream`),
  ])
  const events = reopened.rows.map((row) => ({ id: row.id, receivedAt: new Date(row.received_at).toISOString() }))
  return { stream: streamFrom(companyId, result), events }
}

/** Creates the partitions of this month and of the months ahead. */
export async function ensurePartitions(db: Db, now: Date, monthsAhead: number): Promise<number> {
  const { rows } = await db.execute<{ made: number }>(
    sql`select ensure_partitions(${now.toISOString()}, ${monthsAhead}) as made`,
  )
  return rows[0]?.made ?? 0
}
