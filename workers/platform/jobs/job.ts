/** A job: a payload, and a run that is safe to repeat. */
import type * as z from "zod"
import type { Services } from "../services.ts"

/**
 * How a run ended. `done`: finished, or nothing to do. `give_up`: repeating it would change nothing, so QStash must not
 * retry (status 489). A run that throws is retried.
 */
export type JobResult =
  | { readonly kind: "done"; readonly outcome: string; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: "give_up"; readonly reason: string }

/** The job finished; `counts` are for operators and logs. */
export const done = (outcome: string, counts: Readonly<Record<string, number>> = {}): JobResult => ({
  kind: "done",
  outcome,
  counts,
})

/** The job can never finish. */
export const giveUp = (reason: string): JobResult => ({ kind: "give_up", reason })

/** Keeps a run's lease, and stops a run that has lost it. */
export interface RunHeartbeat {
  /**
   * To be called between units of work; it calls the database at most once in several seconds. Throws `LeaseLost` when
   * the run's lease was released or taken over; code that catches errors must rethrow that one.
   */
  extendLease(): Promise<void>
}

/** The lease was released or taken over: the run must stop. */
export class LeaseLost extends Error {
  constructor() {
    super("the run has lost its lease")
    this.name = "LeaseLost"
  }
}

export interface Job<Payload> {
  readonly name: string
  readonly payload: z.ZodType<Payload>
  run(payload: Payload, services: Services, progress: RunHeartbeat): Promise<JobResult>
}

/** A job without the type of its payload, as the registry stores it. */
export interface AnyJob {
  readonly name: string
  /** Parses the payload and runs; gives up on an invalid payload. */
  start(payload: unknown, services: Services, progress: RunHeartbeat): Promise<JobResult>
}

/** Makes a job for the registry. */
export const defineJob = <Payload>(job: Job<Payload>): AnyJob => ({
  name: job.name,
  async start(payload, services, progress) {
    const parsed = job.payload.safeParse(payload)
    return parsed.success ? job.run(parsed.data, services, progress) : giveUp("payload_not_understood")
  },
})
