/** Runs of scheduled jobs, their leases, and whether operators paused the jobs. They belong to no tenant. */
import { and, desc, eq, isNull, sql } from "drizzle-orm"
import type { Db } from "../../client.ts"
import { jobRuns, jobStates } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "./page.ts"

/** A month of runs is enough to see a pattern. */
const RETENTION_MS = 30 * 86_400_000

/** Each run deletes at most this many old ones; usually one or two. */
const DELETED_MAX = 1_000

/** Why a run may not begin now. */
export type StartRefusal = "paused" | "already_run" | "already_running"

/**
 * Begins a run unless the job is paused, its slot was run already, or another run holds a lease. Runs whose lease has
 * expired are closed as `lost`; `replaced` counts them. The fence is higher than that of any run before.
 */
export async function beginJobRun(
  db: Db,
  run: {
    readonly id: string
    readonly job: string
    readonly source: string
    readonly owner: string
    /** Null for a manual run. */
    readonly slot: Date | null
    readonly now: Date
    readonly until: Date
  },
): Promise<
  { readonly refused: StartRefusal } | { readonly refused: null; readonly fence: number; readonly replaced: number }
> {
  const { rows } = await db.execute<{ begun: { refused: StartRefusal } | { fence: number; replaced: number } }>(
    sql`select begin_job_run(${run.id}, ${run.job}, ${run.source}, ${run.owner}, ${run.slot?.toISOString() ?? null},
      ${run.now.toISOString()}, ${run.until.toISOString()}) as begun`,
  )
  const begun = rows[0]?.begun
  if (!begun) throw new Error("begin_job_run returned no row")
  return "refused" in begun ? begun : { refused: null, ...begun }
}

/** Extends a run's lease. False when the run was ended by somebody else, and must stop. */
export async function extendJobRunLease(db: Db, id: string, now: Date, until: Date): Promise<boolean> {
  const extended = await db
    .update(jobRuns)
    .set({ heartbeatAt: now, leaseUntil: until })
    .where(and(eq(jobRuns.id, id), isNull(jobRuns.finishedAt)))
    .returning({ id: jobRuns.id })
  return extended.length > 0
}

/** Records the end of a run, and deletes runs older than a month. False when somebody else had ended it already. */
export async function endJobRun(
  db: Db,
  id: string,
  end: {
    readonly finishedAt: Date
    readonly outcome: string
    /** A code when the run did not finish: then its slot may be run again. */
    readonly error: string | null
    readonly details: Readonly<Record<string, number>>
  },
): Promise<boolean> {
  const deleteBefore = new Date(end.finishedAt.getTime() - RETENTION_MS).toISOString()
  const [ended] = await db.batch([
    db
      .update(jobRuns)
      .set(end)
      .where(and(eq(jobRuns.id, id), isNull(jobRuns.finishedAt)))
      .returning({ id: jobRuns.id }),
    db.execute(sql`delete from job_runs where id in (
      select id from job_runs where started_at < ${deleteBefore} order by started_at limit ${DELETED_MAX})`),
  ])
  return ended.length > 0
}

/** Ends the current run of a job. Returns its id; null when there is none. */
export async function releaseJobRun(db: Db, job: string, now: Date): Promise<string | null> {
  const [released] = await db
    .update(jobRuns)
    .set({ finishedAt: now, outcome: "released", error: "released" })
    .where(and(eq(jobRuns.job, job), isNull(jobRuns.finishedAt)))
    .returning({ id: jobRuns.id })
  return released?.id ?? null
}

/** Pauses or resumes a job. */
export async function setJobPaused(
  db: Db,
  job: string,
  change: { readonly isPaused: boolean; readonly reason: string | null; readonly by: string; readonly at: Date },
): Promise<void> {
  const { isPaused, reason, by: changedBy, at: changedAt } = change
  const state = { isPaused, reason, changedBy, changedAt }
  await db
    .insert(jobStates)
    .values({ job, ...state })
    .onConflictDoUpdate({ target: jobStates.job, set: state })
}

/** A stored run. */
export type JobRunRow = typeof jobRuns.$inferSelect

/** A job with its latest runs. */
export interface JobOverview {
  readonly job: string
  /** Null when it was never run or paused. */
  readonly state: typeof jobStates.$inferSelect | null
  /** The current run, also with an expired lease. */
  readonly running: JobRunRow | null
  readonly lastRun: JobRunRow | null
}

/** Jobs with their states and latest runs, in the given order: one round trip. */
export async function readJobs(db: Db, jobs: readonly string[]): Promise<readonly JobOverview[]> {
  const [states, unfinished, finished] = await db.batch([
    db.select().from(jobStates),
    db.select().from(jobRuns).where(isNull(jobRuns.finishedAt)),
    // One look-up per job in the index of its latest runs, for any number of runs.
    db
      .select()
      .from(jobRuns)
      .where(
        sql`${jobRuns.id} in (
        select (select r.id from job_runs r where r.job = wanted.job and r.finished_at is not null
          order by r.started_at desc limit 1)
        from jsonb_array_elements_text(${JSON.stringify(jobs)}::jsonb) as wanted (job))`,
      ),
  ])
  return jobs.map((job) => ({
    job,
    state: states.find((state) => state.job === job) ?? null,
    running: unfinished.find((run) => run.job === job) ?? null,
    lastRun: finished.find((run) => run.job === job) ?? null,
  }))
}

/** A page of a job's runs, the latest first. */
export async function listJobRuns(
  db: Db,
  job: string,
  filter: { readonly outcome?: string | undefined; readonly source?: string | undefined },
  page: PageRequest,
): Promise<Page<JobRunRow>> {
  const { after } = page
  const rows = await db
    .select()
    .from(jobRuns)
    .where(
      and(
        eq(jobRuns.job, job),
        filter.outcome === undefined ? undefined : eq(jobRuns.outcome, filter.outcome),
        filter.source === undefined ? undefined : eq(jobRuns.source, filter.source),
        after === null
          ? undefined
          : sql`(${jobRuns.startedAt}, ${jobRuns.id}) < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
      ),
    )
    .orderBy(desc(jobRuns.startedAt), desc(jobRuns.id))
    .limit(page.limit + 1)
  return pageOf(rows, page, (row) => ({ at: row.startedAt, id: row.id }))
}
