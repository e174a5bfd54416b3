/** Runs a job and leaves a trace: a log line always, and a row for those that run by the clock. */
import { recordJobRun } from "../../db/queries/jobs.ts"
import { RUN_NOTE_COST } from "../outbound/costs.ts"
import type { Services } from "../services.ts"
import type { AnyJob, JobResult } from "./job.ts"
import { isScheduled } from "./schedules.ts"

/** Who started a run. */
export type JobSource = "qstash" | "cron" | "operator"

/** Runs the job; throws what it throws, after noting it. */
export async function runJob(job: AnyJob, payload: unknown, services: Services, source: JobSource): Promise<JobResult> {
  const { log } = services
  const startedAt = services.now()
  const forNote = isScheduled(job.name) ? services.budget.hold(RUN_NOTE_COST) : null
  try {
    const result = await job.start(payload, services)
    const outcome = result.kind === "done" ? result.word : result.reason
    log.info("job_finished", {
      job: job.name,
      source,
      outcome,
      durationMs: services.now().getTime() - startedAt.getTime(),
    })
    await note(services, job, source, startedAt, outcome, result.kind === "done" ? result.counts : {}).catch((error) =>
      log.warn("job_run_not_noted", { job: job.name, error }),
    )
    return result
  } catch (error) {
    log.error("job_failed", { job: job.name, source, error })
    await note(services, job, source, startedAt, "failed", {}).catch(() => undefined)
    throw error
  } finally {
    forNote?.release()
  }
}

async function note(
  { db, now }: Services,
  job: AnyJob,
  source: JobSource,
  startedAt: Date,
  outcome: string,
  details: Readonly<Record<string, number>>,
): Promise<void> {
  if (!isScheduled(job.name)) return
  await recordJobRun(db, { job: job.name, source, startedAt, finishedAt: now(), outcome, details })
}
