/** The lease of a scheduled run: taken before it, extended while it works, and ended after it. */
import { beginJobRun, endJobRun, extendJobRunLease, type StartRefusal } from "../../../db/queries/platform/jobs.ts"
import type { Services } from "../services.ts"
import { LeaseLost, type RunHeartbeat } from "./job.ts"

/**
 * A run without a heartbeat for this long counts as lost. Between two heartbeats lies one unit of work: five nudges at
 * once, a page of dead letters, a claim with its chunks, or one event that loses every conflict; each takes much less.
 */
const LEASE_MS = 90_000

/** Earlier heartbeats are skipped: a released run stops within this time and one unit of work. */
const HEARTBEAT_INTERVAL_MS = 5_000

/** Which run asks for the lease. */
export interface LeaseRequest {
  readonly job: string
  readonly source: string
  /** The id of the request that runs it, as in the log. */
  readonly owner: string
  readonly slot: Date | null
}

/** A run that holds its job's lease. */
export interface Lease {
  readonly runId: string
  readonly fence: number
  readonly progress: RunHeartbeat
  /** Records the end. False when the run was already ended by somebody else. */
  end(how: {
    readonly outcome: string
    readonly error: string | null
    readonly counts: Readonly<Record<string, number>>
  }): Promise<boolean>
}

/**
 * Takes the lease, or returns why it cannot. Throws while Postgres is unavailable, after trying to end what it may have
 * begun.
 */
export async function takeLease(
  services: Services,
  request: LeaseRequest,
): Promise<{ readonly refused: StartRefusal } | { readonly refused: null; readonly lease: Lease }> {
  const { db, log } = services
  const id = services.newId()
  const now = services.now()
  const until = (at: Date): Date => new Date(at.getTime() + LEASE_MS)
  const end: Lease["end"] = ({ outcome, error, counts }) =>
    endJobRun(db, id, { finishedAt: services.now(), outcome, error, details: counts })

  let begun: Awaited<ReturnType<typeof beginJobRun>>
  try {
    begun = await beginJobRun(db, { id, ...request, now, until: until(now) })
  } catch (error) {
    // The lease may have been taken although the reply was lost; nobody would use it.
    await end({ outcome: "failed", error: "not_begun", counts: {} }).catch(() => undefined)
    throw error
  }
  if (begun.refused !== null) return begun
  const { fence, replaced } = begun
  if (replaced > 0) log.warn("job_run_taken_over", { job: request.job, jobRunId: id, count: replaced })
  const extend = (at: Date) => extendJobRunLease(db, id, at, until(at))
  return { refused: null, lease: { runId: id, fence, progress: heartbeat(services, now, extend), end } }
}

/**
 * Extends the lease at most every few seconds. While the database is unavailable the run goes on until the lease
 * expires; so does one without a subrequest to spare, which can begin no more work.
 */
export function heartbeat(
  { now, log, budget }: Pick<Services, "now" | "log" | "budget">,
  begunAt: Date,
  extend: (at: Date) => Promise<boolean>,
): RunHeartbeat {
  let attemptedMs = begunAt.getTime()
  let extendedMs = attemptedMs
  return {
    async extendLease() {
      const at = now()
      if (at.getTime() - attemptedMs < HEARTBEAT_INTERVAL_MS || !budget.hasRoomFor(1)) return
      attemptedMs = at.getTime()
      try {
        if (!(await extend(at))) throw new LeaseLost()
        extendedMs = at.getTime()
      } catch (error) {
        if (error instanceof LeaseLost || at.getTime() - extendedMs >= LEASE_MS) throw new LeaseLost()
        log.warn("job_heartbeat_failed", { error })
      }
    },
  }
}
