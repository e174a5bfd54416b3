/** What monitors ask: times and counts over all tenants, and nothing that belongs to one of them. */
import { sql } from "drizzle-orm"
import type { Db } from "../../client.ts"

/** Asks Postgres for nothing. Throws while it is away. */
export async function pingDatabase(db: Db): Promise<void> {
  await db.execute(sql`select 1`)
}

/** Work that is waiting or under way, over all companies. Counts stop at 10 000. */
export interface PendingWork {
  /** Nudges whose time has come, of which `overdue` for more than an hour. */
  readonly due: number
  readonly overdue: number
  /** Due nudges that a worker has in its hands. */
  readonly leased: number
  readonly nextDueAt: Date | null
  /** Events that were recorded and are not finished; `held` ones wait for a switch and are not among them. */
  readonly pending: number
  readonly held: number
  /** Events that name an account of no company. */
  readonly unmapped: number
  /** Customers with more than a limit allows. */
  readonly quarantined: number
  readonly oldestPendingAt: Date | null
}

/** Counts the work in hand, and says when the last run of a job began that has ended. */
export async function countPendingWork(
  db: Db,
  now: Date,
  job: string,
): Promise<PendingWork & { readonly lastRun: { readonly startedAt: Date; readonly outcome: string | null } | null }> {
  const result = await db.execute<{ work: WorkJson; started_at: string | null; outcome: string | null }>(
    sql`select work_in_hand(${now.toISOString()}) as work, r.started_at, r.outcome
      from (select) as one
      left join lateral (
        select started_at, outcome from job_runs where job = ${job} and finished_at is not null order by started_at desc limit 1
      ) as r on true`,
  )
  const row = result.rows[0]
  if (!row) throw new Error("work_in_hand answered nothing")
  const { work, started_at: startedAt, outcome } = row
  return {
    ...work,
    nextDueAt: work.nextDueAt === null ? null : new Date(work.nextDueAt),
    oldestPendingAt: work.oldestPendingAt === null ? null : new Date(work.oldestPendingAt),
    lastRun: startedAt === null ? null : { startedAt: new Date(startedAt), outcome },
  }
}

type WorkJson = {
  readonly due: number
  readonly overdue: number
  readonly leased: number
  readonly nextDueAt: string | null
  readonly pending: number
  readonly held: number
  readonly unmapped: number
  readonly quarantined: number
  readonly oldestPendingAt: string | null
}
