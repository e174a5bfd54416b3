/** Runs a job and records it: always in the log, and for scheduled jobs in a row with a lease. */
import * as z from "zod"
import type { StartRefusal } from "../../../db/queries/platform/jobs.ts"
import { END_RUN_SUBREQUESTS } from "../outbound/subrequests.ts"
import type { Services } from "../services.ts"
import { type AnyJob, done, type JobResult, LeaseLost, type RunHeartbeat } from "./job.ts"
import { type Lease, takeLease } from "./lease.ts"
import { scheduleOf, slotAt } from "./schedules.ts"

/** Who started a run. */
export type JobSource = "qstash" | "cron" | "operator"

/** Who starts a run, and for which time. */
export interface RunStart {
  readonly source: JobSource
  /** The id of the request that runs it, as in the log. */
  readonly owner: string
  /** The time of the Cron Trigger; default: now. */
  readonly scheduledAt?: Date
}

/** How a start ended. `refused`: nothing ran, and nothing has to. */
export type RunResult = JobResult | { readonly kind: "refused"; readonly reason: StartRefusal }

/** Runs the job; rethrows its errors after recording them. */
export async function runJob(job: AnyJob, payload: unknown, services: Services, start: RunStart): Promise<RunResult> {
  const { log } = services
  const fields = { job: job.name, source: start.source }
  const startedAt = services.now()
  if (scheduleOf(job.name) === null) return perform(job, payload, services, start, NOOP_HEARTBEAT)

  const slot = slotOf(job.name, payload, start, startedAt)
  const attempt = await takeLease(services, { ...fields, owner: start.owner, slot }).catch((error: unknown) => {
    log.error("job_failed", { ...fields, error })
    throw error
  })
  if (attempt.refused !== null) {
    // The other heartbeat was first; this happens at every second call.
    const level = attempt.refused === "already_run" ? "debug" : "info"
    log[level]("job_not_begun", { ...fields, reason: attempt.refused })
    return { kind: "refused", reason: attempt.refused }
  }
  const { lease } = attempt
  // A run whose end is not recorded keeps the next ones from starting until its lease expires.
  const allowEnd = services.budget.setAside(END_RUN_SUBREQUESTS)
  try {
    const result = await perform(job, payload, services, start, lease.progress).finally(allowEnd)
    const { outcome, counts } = endOf(result)
    await recordEnd(services, job, lease, { outcome, error: result.kind === "done" ? null : "gave_up", counts })
    return result
  } catch (error) {
    if (error instanceof LeaseLost) {
      log.warn("job_lease_lost", { ...fields, jobRunId: lease.runId })
      return done("lost")
    }
    await recordEnd(services, job, lease, { outcome: "failed", error: "thrown", counts: {} })
    throw error
  }
}

/** A job per message has no lease. */
const NOOP_HEARTBEAT: RunHeartbeat = { extendLease: async () => undefined }

/** The body of a message that runs a job at once, outside its schedule. */
const isManualRun = z.object({ outOfTurn: z.literal(true) })

/** Such a body. Not a header, because QStash's signature does not cover headers. */
export const MANUAL_RUN = { outOfTurn: true } as const satisfies z.infer<typeof isManualRun>

/** The slot that a heartbeat runs the job for; null for a manual run. */
function slotOf(job: string, payload: unknown, { source, scheduledAt }: RunStart, now: Date): Date | null {
  const schedule = scheduleOf(job)
  if (schedule === null || source === "operator" || isManualRun.safeParse(payload).success) return null
  return slotAt(schedule.cron, scheduledAt ?? now)
}

async function perform(
  job: AnyJob,
  payload: unknown,
  services: Services,
  { source }: RunStart,
  progress: RunHeartbeat,
): Promise<JobResult> {
  const { log, now } = services
  const startedMs = now().getTime()
  try {
    const result = await job.start(payload, services, progress)
    const durationMs = now().getTime() - startedMs
    log.info("job_finished", { job: job.name, source, outcome: endOf(result).outcome, durationMs })
    return result
  } catch (error) {
    if (!(error instanceof LeaseLost)) log.error("job_failed", { job: job.name, source, error })
    throw error
  }
}

const endOf = (result: JobResult) =>
  result.kind === "done" ? { outcome: result.outcome, counts: result.counts } : { outcome: result.reason, counts: {} }

/** A failure to record the end does not fail the run: its lease expires instead. */
async function recordEnd(
  { log }: Services,
  job: AnyJob,
  lease: Lease,
  end: Parameters<Lease["end"]>[0],
): Promise<void> {
  try {
    const isOurs = await lease.end(end)
    if (!isOurs) log.warn("job_lease_lost", { job: job.name, jobRunId: lease.runId })
  } catch (error) {
    log.warn("job_run_end_not_recorded", { job: job.name, jobRunId: lease.runId, error })
  }
}
