/** `/api/jobs`: the state of the scheduled jobs, and an operator's commands: run, pause, resume, release. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import {
  type JobOverview,
  type JobRunRow,
  listJobRuns,
  readJobs,
  releaseJobRun,
  setJobPaused,
} from "../../db/queries/platform/jobs.ts"
import { isStuck } from "../health/checks.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validJson, validParam, validQuery } from "../platform/http/request.ts"
import type { AnyJob } from "../platform/jobs/job.ts"
import { runJob } from "../platform/jobs/run.ts"
import { isScheduled, nextSlot, scheduleOf } from "../platform/jobs/schedules.ts"
import type { AppEnv } from "../platform/services.ts"
import { JOBS } from "./registry.ts"

/** Why a job is paused, for the next engineer; must not hold personal data. */
const REASON_CHARS_MAX = 200

const emptyBody = z.strictObject({})
const pause = z.strictObject({
  reason: z
    .string()
    .trim()
    .min(1)
    .max(REASON_CHARS_MAX)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u, "expected one line"),
})
const runsQuery = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
      error: "expected a nextCursor of this list",
    }),
    outcome: z
      .string()
      .regex(/^[a-z_]{1,64}$/, "expected an outcome")
      .optional(),
    source: z.enum(["qstash", "cron", "operator"]).optional(),
  }),
)

const validName = validParam(z.object({ name: z.enum([...JOBS.keys()]) }), "There is no such job.")

export const jobsApi = new Hono<AppEnv>()
  .get("/", withPermission("jobs:read"), async (c) => {
    const { db, now } = c.get("services")
    const jobs = await readJobs(db, [...JOBS.keys()])
    return c.json({ data: jobs.map((job) => showJob(job, now())), nextCursor: null })
  })
  .get("/:name", withPermission("jobs:read"), validName, async (c) =>
    c.json(await readShown(c, c.req.valid("param").name)),
  )
  .get("/:name/runs", withPermission("jobs:read"), validName, validQuery(runsQuery), async (c) => {
    const { name } = c.req.valid("param")
    const { page, filter } = splitPage(c.req.valid("query"))
    return c.json(listOf(await listJobRuns(c.get("services").db, name, filter, page), showRun))
  })
  .post("/:name/run", withPermission("jobs:run"), validName, validJson(emptyBody, { isOptional: true }), async (c) => {
    const job = scheduledJob(c.req.valid("param").name)
    logCommand(c, "job_run_asked", job)
    const result = await runJob(job, {}, c.get("services"), { source: "operator", owner: c.get("requestId") })
    if (result.kind === "refused") {
      throw new AppError(
        "CONFLICT",
        result.reason === "paused" ? "The job is paused." : "The job is running already.",
        {
          reason: result.reason,
        },
      )
    }
    const { outcome, counts } =
      result.kind === "done"
        ? { outcome: result.outcome, counts: result.counts }
        : { outcome: result.reason, counts: {} }
    return c.json({ job: job.name, outcome, counts })
  })
  .post("/:name/pause", withPermission("jobs:run"), validName, validJson(pause), async (c) => {
    const job = scheduledJob(c.req.valid("param").name)
    const { reason } = c.req.valid("json")
    await setPaused(c, job, { isPaused: true, reason })
    return c.json(await readShown(c, job.name))
  })
  .post(
    "/:name/resume",
    withPermission("jobs:run"),
    validName,
    validJson(emptyBody, { isOptional: true }),
    async (c) => {
      const job = scheduledJob(c.req.valid("param").name)
      await setPaused(c, job, { isPaused: false, reason: null })
      return c.json(await readShown(c, job.name))
    },
  )
  .post(
    "/:name/release",
    withPermission("jobs:run"),
    validName,
    validJson(emptyBody, { isOptional: true }),
    async (c) => {
      const job = scheduledJob(c.req.valid("param").name)
      const { db, now } = c.get("services")
      const jobRunId = await releaseJobRun(db, job.name, now())
      logCommand(c, "job_released", job, jobRunId)
      if (jobRunId === null) {
        throw new AppError("CONFLICT", "No run of this job is under way.", { reason: "not_running" })
      }
      return c.json(await readShown(c, job.name))
    },
  )

/** A job per message is started by its messages; it has no run that could be paused or released. */
function scheduledJob(name: string): AnyJob {
  const job = JOBS.get(name)
  if (!job) throw new AppError("NOT_FOUND", "There is no such job.")
  if (isScheduled(job.name)) return job
  throw new AppError("CONFLICT", "This job runs per message, not by the clock.", { reason: "not_scheduled" })
}

async function setPaused(
  c: Context<AppEnv>,
  job: AnyJob,
  change: { readonly isPaused: boolean; readonly reason: string | null },
): Promise<void> {
  const { db, now } = c.get("services")
  await setJobPaused(db, job.name, { ...change, by: c.get("principal").keyId, at: now() })
  logCommand(c, change.isPaused ? "job_paused" : "job_resumed", job)
}

const logCommand = (c: Context<AppEnv>, event: string, job: AnyJob, jobRunId?: string | null): void =>
  c.get("services").log.info(event, { job: job.name, keyId: c.get("principal").keyId, jobRunId })

async function readShown(c: Context<AppEnv>, name: string) {
  const { db, now } = c.get("services")
  const [job] = await readJobs(db, [name])
  if (!job) throw new Error("readJobs did not return a requested job")
  return showJob(job, now())
}

/** A job in the API's form. */
function showJob(overview: JobOverview, now: Date) {
  const { job, state, running, lastRun } = overview
  const schedule = scheduleOf(job)
  const isPaused = state?.isPaused ?? false
  return {
    name: job,
    schedule: schedule?.cron ?? null,
    isPaused,
    reason: isPaused ? (state?.reason ?? null) : null,
    changedBy: state?.changedBy ?? null,
    changedAt: state?.changedAt?.toISOString() ?? null,
    lastRun: lastRun && showRun(lastRun),
    running: running && { ...showRun(running), isStuck: isStuck(overview, now) },
    nextRunAt: schedule === null || isPaused ? null : nextSlot(schedule.cron, now).toISOString(),
    // When each heartbeat last called, even if nothing had to run.
    heartbeats: {
      qstash: state?.lastQstashAt?.toISOString() ?? null,
      cron: state?.lastCronAt?.toISOString() ?? null,
    },
  }
}

/** A run in the API's form. */
const showRun = (run: JobRunRow) => ({
  id: run.id,
  job: run.job,
  source: run.source,
  owner: run.owner,
  slot: run.slot?.toISOString() ?? null,
  startedAt: run.startedAt.toISOString(),
  finishedAt: run.finishedAt?.toISOString() ?? null,
  heartbeatAt: run.heartbeatAt?.toISOString() ?? null,
  leaseUntil: run.leaseUntil?.toISOString() ?? null,
  fence: run.fence,
  outcome: run.outcome,
  error: run.error,
  durationMs: run.finishedAt === null ? null : run.finishedAt.getTime() - run.startedAt.getTime(),
  counts: run.details ?? {},
})
