/** Health data: times and counts over all tenants, without data of a single one. */
import { sql } from "drizzle-orm"
import type { Db } from "../../client.ts"

/** Runs an empty query. Throws while Postgres is unavailable. */
export async function pingDatabase(db: Db): Promise<void> {
  await db.execute(sql`select 1`)
}

/** Pending work over all companies. Counts stop at 10 000. */
export interface PendingWork {
  /** Due nudges, of which `overdue` for more than an hour. */
  readonly due: number
  readonly overdue: number
  /** Due nudges that a worker has claimed. */
  readonly leased: number
  readonly nextDueAt: Date | null
  /** Unfinished events, without `held` ones, which wait for a switch. */
  readonly pending: number
  readonly held: number
  /** Events of accounts that no company has registered. */
  readonly unmapped: number
  /** Customers in quarantine. */
  readonly quarantined: number
  readonly oldestPendingAt: Date | null
}

/** Counts pending work, and reads when the last finished run of a job began. */
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
  if (!row) throw new Error("work_in_hand returned no row")
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
