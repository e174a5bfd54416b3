/** Bulk replay: one statement queues the events, the sweep processes them. */
import { sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { webhookEvents } from "../../schema.ts"
import { type EventFilter, matchingEvents } from "./events.ts"

/** The result of a bulk replay. */
export interface ReplayResult {
  readonly queued: number
  /** Matching events that cannot be replayed because their payload was purged; counted up to `limit`. */
  readonly purged: number
  /** More events match; they were received after the queued ones. */
  readonly isMore: boolean
  /** When the last queued event was received; null when none was queued. */
  readonly lastReceivedAt: Date | null
}

/** Queues a company's events that match the filter to be processed again, oldest first, `limit` at most. */
export async function enqueueReplay(
  db: Db,
  companyId: string,
  filter: EventFilter,
  { limit, now }: { readonly limit: number; readonly now: Date },
): Promise<ReplayResult> {
  const matches = matchingEvents(db, companyId, filter)
  const at = now.toISOString()
  const [result] = await inCompany(db, companyId, [
    db.execute<{ queued: number; purged: number; is_more: boolean; last_received_at: string | null }>(sql`
      with matching as materialized (
        select ${webhookEvents.id} as id, ${webhookEvents.receivedAt} as received_at
        from ${webhookEvents} where ${matches} and ${webhookEvents.payload} is not null
        order by ${webhookEvents.receivedAt}, ${webhookEvents.id} limit ${limit + 1}
      ), queued as (
        update webhook_events e set status = 'received', attempts = 0, next_attempt_at = ${at}, replayed_at = ${at}
        from (select * from matching order by received_at, id limit ${limit}) as w
        where e.company_id = ${companyId} and e.id = w.id and e.received_at = w.received_at
        returning e.received_at
      )
      select
        (select count(*)::integer from queued) as queued,
        (select count(*) from matching) > ${limit} as is_more,
        (select max(received_at) from queued) as last_received_at,
        (select count(*)::integer from (
          select from ${webhookEvents} where ${matches} and ${webhookEvents.payload} is null limit ${limit}
        ) as purged_events) as purged`),
  ])
  const row = result.rows[0]
  if (!row) throw new Error("the replay query returned no row")
  const { queued, purged, is_more: isMore, last_received_at: last } = row
  return { queued, purged, isMore, lastReceivedAt: last === null ? null : new Date(last) }
}
