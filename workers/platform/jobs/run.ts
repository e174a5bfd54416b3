/** Runs a job and leaves a trace: a log line always, and a leased row for those that run by the clock. */
import * as z from "zod"
import type { StartRefusal } from "../../../db/queries/platform/jobs.ts"
import { END_RUN_SUBREQUESTS } from "../outbound/subrequests.ts"
import type { Services } from "../services.ts"
import { type AnyJob, done, type JobResult, LeaseLost, type RunHeartbeat } from "./job.ts"
import { type Lease, takeLease } from "./lease.ts"
import { scheduleOf, slotAt } from "./schedules.ts"

/** Who started a run. */
export type JobSource = "qstash" | "cron" | "operator"

/** By whom and why a run is started. */
export interface RunStart {
  readonly source: JobSource
  /** The request that runs it, as the log names it. */
  readonly owner: string
  /** When the platform meant it to run; left out, it is for now. */
  readonly scheduledAt?: Date
}

/** How a start ended. `refused`: nothing ran, and nothing needs to. */
export type RunResult = JobResult | { readonly kind: "refused"; readonly reason: StartRefusal }

/** Runs the job; throws what it throws, after noting it. */
export async function runJob(job: AnyJob, payload: unknown, services: Services, start: RunStart): Promise<RunResult> {
  const { log } = services
  const fields = { job: job.name, source: start.source }
  const startedAt = services.now()
  if (scheduleOf(job.name) === null) return perform(job, payload, services, start, NOOP_HEARTBEAT)

  const slot = slotOf(job.name, payload, start, startedAt)
  const taken = await takeLease(services, { ...fields, owner: start.owner, slot }).catch((error: unknown) => {
    log.error("job_failed", { ...fields, error })
    throw error
  })
  if (taken.refused !== null) {
    // The other heartbeat was quicker: that is every second call, and nothing to tell.
    const level = taken.refused === "already_run" ? "debug" : "info"
    log[level]("job_not_begun", { ...fields, reason: taken.refused })
    return { kind: "refused", reason: taken.refused }
  }
  const { lease } = taken
  const forNote = services.budget.reserve(END_RUN_SUBREQUESTS)
  try {
    const result = await perform(job, payload, services, start, lease.progress)
    const { outcome, counts } = endOf(result)
    await note(services, job, lease, { outcome, error: result.kind === "done" ? null : "gave_up", counts })
    return result
  } catch (error) {
    if (error instanceof LeaseLost) {
      log.warn("job_lease_lost", { ...fields, jobRunId: lease.runId })
      return done("lost")
    }
    await note(services, job, lease, { outcome: "failed", error: "thrown", counts: {} })
    throw error
  } finally {
    forNote?.release()
  }
}

/** A job per message has no lease that could be lost. */
const NOOP_HEARTBEAT: RunHeartbeat = { extendLease: async () => undefined }

/** What the body of a message says that was published to run a job at once, beside its schedule. */
const isManualRun = z.object({ outOfTurn: z.literal(true) })

/** The body of such a message. The body, because QStash's signature does not cover headers. */
export const MANUAL_RUN = { outOfTurn: true } as const satisfies z.infer<typeof isManualRun>

/** The slot that a heartbeat runs the job for; null when somebody asked for the run. */
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
  result.kind === "done" ? { outcome: result.word, counts: result.counts } : { outcome: result.reason, counts: {} }

/** A run is not undone because its end could not be written: then its lease runs out. */
async function note({ log }: Services, job: AnyJob, lease: Lease, end: Parameters<Lease["end"]>[0]): Promise<void> {
  try {
    const isOurs = await lease.end(end)
    if (!isOurs) log.warn("job_lease_lost", { job: job.name, jobRunId: lease.runId })
  } catch (error) {
    log.warn("job_run_end_not_recorded", { job: job.name, jobRunId: lease.runId, error })
  }
}
