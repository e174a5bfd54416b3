/** One thing done later: a payload, and a run that is safe to repeat. */
import type * as z from "zod"
import type { Services } from "../services.ts"

/**
 * How a run ended. `done`: finished, or nothing to do. `give_up`: repeating it would change nothing, so QStash is told to
 * stop (489). Anything thrown is tried again.
 */
export type JobResult =
  | { readonly kind: "done"; readonly word: string; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: "give_up"; readonly reason: string }

/** The job came to its end; `counts` are for people and logs. */
export const done = (word: string, counts: Readonly<Record<string, number>> = {}): JobResult => ({
  kind: "done",
  word,
  counts,
})

/** The job can never come to its end. */
export const giveUp = (reason: string): JobResult => ({ kind: "give_up", reason })

/** How a run shows that it is alive, and learns that it must stop. */
export interface RunHeartbeat {
  /**
   * To be called between pieces of work: cheap, since it asks the database once in several seconds. Throws `RunLost` when
   * the run's lease was released or taken over; whatever catches errors on the way must let that one pass.
   */
  extendLease(): Promise<void>
}

/** The run is somebody else's by now, or nobody's: it must do nothing more. */
export class LeaseLost extends Error {
  constructor() {
    super("the run has lost its lease")
    this.name = "RunLost"
  }
}

export interface Job<Payload> {
  readonly name: string
  readonly payload: z.ZodType<Payload>
  run(payload: Payload, services: Services, progress: RunHeartbeat): Promise<JobResult>
}

/** A job whose payload is known only by its schema, as the registry keeps it. */
export interface AnyJob {
  readonly name: string
  /** Parses and runs; a payload that does not fit is given up. */
  start(payload: unknown, services: Services, progress: RunHeartbeat): Promise<JobResult>
}

/** Makes a job fit for the registry. */
export const defineJob = <Payload>(job: Job<Payload>): AnyJob => ({
  name: job.name,
  async start(payload, services, progress) {
    const parsed = job.payload.safeParse(payload)
    return parsed.success ? job.run(parsed.data, services, progress) : giveUp("payload_not_understood")
  },
})
