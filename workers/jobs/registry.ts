/** All jobs by name. */
import { ingest } from "./ingest.ts"
import type { AnyJob } from "./job.ts"
import { nudges } from "./nudges.ts"
import { reminders } from "./reminders.ts"
import { sweep } from "./sweep.ts"

export const JOBS: ReadonlyMap<string, AnyJob> = new Map(
  [reminders, nudges, ingest, sweep].map((job) => [job.name, job]),
)
