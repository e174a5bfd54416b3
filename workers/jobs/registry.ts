/** All jobs by name. */
import { ingest } from "./ingest.ts"
import type { AnyJob } from "./job.ts"
import { milestones } from "./milestones.ts"
import { nudges } from "./nudges.ts"
import { reconcile } from "./reconcile.ts"
import { reminders } from "./reminders.ts"
import { rescore } from "./rescore.ts"
import { sweep } from "./sweep.ts"

export const JOBS: ReadonlyMap<string, AnyJob> = new Map(
  [reminders, nudges, ingest, sweep, reconcile, milestones, rescore].map((job) => [job.name, job]),
)
