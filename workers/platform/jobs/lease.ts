/** The lease of a run by the clock: taken before it, extended while it works, and ended after it. */
import { beginJobRun, endJobRun, extendJobRunLease, type StartRefusal } from "../../../db/queries/platform/jobs.ts"
import type { Services } from "../services.ts"
import { LeaseLost, type RunHeartbeat } from "./job.ts"

/**
 * Who does not beat for so long is taken for lost. Between two beats lies one piece of work: four nudges at once, a page of
 * dead messages, a claim with its chunks, or one event that loses every race; each of them well below it.
 */
const LEASE_MS = 90_000

/** Beats that follow sooner cost nothing: a released run stops within this time and a piece of work. */
const HEARTBEAT_INTERVAL_MS = 5_000

/** What a run is begun for. */
export interface LeaseRequest {
  readonly job: string
  readonly source: string
  /** The request that runs it, as the log names it. */
  readonly owner: string
  readonly slot: Date | null
}

/** A run that holds its job's lease. */
export interface Lease {
  readonly runId: string
  readonly fence: number
  readonly progress: RunHeartbeat
  /** Notes the end. False: the run had been ended by somebody else. */
  end(how: {
    readonly outcome: string
    readonly error: string | null
    readonly counts: Readonly<Record<string, number>>
  }): Promise<boolean>
}

/** Takes the lease, or says why not. Throws while Postgres is away; then nothing is held for longer than can be helped. */
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
    // The lost reply may have hidden a lease that nobody would ever use.
    await end({ outcome: "failed", error: "not_begun", counts: {} }).catch(() => undefined)
    throw error
  }
  if (begun.refused !== null) return begun
  const { fence, replaced } = begun
  if (replaced > 0) log.warn("job_run_taken_over", { job: request.job, jobRunId: id, count: replaced })
  const beat = (at: Date) => extendJobRunLease(db, id, at, until(at))
  return { refused: null, lease: { runId: id, fence, progress: heartbeat(services, now, beat), end } }
}

/** Beats at most every few seconds. A database that is away for a moment stops nobody before the lease has run out. */
export function heartbeat(
  { now, log }: Pick<Services, "now" | "log">,
  begunAt: Date,
  extend: (at: Date) => Promise<boolean>,
): RunHeartbeat {
  let askedMs = begunAt.getTime()
  let heldMs = askedMs
  return {
    async extendLease() {
      const at = now()
      if (at.getTime() - askedMs < HEARTBEAT_INTERVAL_MS) return
      askedMs = at.getTime()
      try {
        if (!(await extend(at))) throw new LeaseLost()
        heldMs = at.getTime()
      } catch (error) {
        if (error instanceof LeaseLost || at.getTime() - heldMs >= LEASE_MS) throw new LeaseLost()
        log.warn("job_heartbeat_failed", { error })
      }
    },
  }
}
