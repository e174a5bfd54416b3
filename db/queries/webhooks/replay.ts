/** Many events in line once more, by one statement: the sweeper does the work. */
import { sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { webhookEvents } from "../../schema.ts"
import { type EventFilter, matchingEvents } from "./events.ts"

/** How a bulk replay went. */
export interface ReplayResult {
  readonly queued: number
  /** Events that fit the filter and cannot be read again, since their payload was purged; counted up to `limit`. */
  readonly purged: number
  /** Others fit the filter, and arrived after those that were queued. */
  readonly isMore: boolean
  /** When the last one that was queued arrived; null when none was. */
  readonly lastReceivedAt: Date | null
}

/** Puts the events of a company that fit the filter in line to be processed anew, oldest first, `limit` at most. */
export async function enqueueReplay(
  db: Db,
  companyId: string,
  filter: EventFilter,
  { limit, now }: { readonly limit: number; readonly now: Date },
): Promise<ReplayResult> {
  const fits = matchingEvents(db, companyId, filter)
  const at = now.toISOString()
  const [result] = await inCompany(db, companyId, [
    db.execute<{ queued: number; purged: number; is_more: boolean; last_received_at: string | null }>(sql`
      with wanted as materialized (
        select ${webhookEvents.id} as id, ${webhookEvents.receivedAt} as received_at
        from ${webhookEvents} where ${fits} and ${webhookEvents.payload} is not null
        order by ${webhookEvents.receivedAt}, ${webhookEvents.id} limit ${limit + 1}
      ), queued as (
        update webhook_events e set status = 'received', attempts = 0, next_attempt_at = ${at}, replayed_at = ${at}
        from (select * from wanted order by received_at, id limit ${limit}) as w
        where e.company_id = ${companyId} and e.id = w.id and e.received_at = w.received_at
        returning e.received_at
      )
      select
        (select count(*)::integer from queued) as queued,
        (select count(*) from wanted) > ${limit} as is_more,
        (select max(received_at) from queued) as last_received_at,
        (select count(*)::integer from (
          select from ${webhookEvents} where ${fits} and ${webhookEvents.payload} is null limit ${limit}
        ) as gone) as purged`),
  ])
  const row = result.rows[0]
  if (!row) throw new Error("a replay answered nothing")
  const { queued, purged, is_more: isMore, last_received_at: last } = row
  return { queued, purged, isMore, lastReceivedAt: last === null ? null : new Date(last) }
}
