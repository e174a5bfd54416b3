/** All jobs by name. */
import { drift } from "./drift.ts"
import { ingest } from "./ingest.ts"
import { interventions } from "./interventions.ts"
import type { AnyJob } from "./job.ts"
import { milestones } from "./milestones.ts"
import { nudges } from "./nudges.ts"
import { reconcile } from "./reconcile.ts"
import { reminders } from "./reminders.ts"
import { rescore } from "./rescore.ts"
import { retrain } from "./retrain.ts"
import { sweep } from "./sweep.ts"

export const JOBS: ReadonlyMap<string, AnyJob> = new Map(
  [reminders, nudges, ingest, sweep, reconcile, milestones, rescore, interventions, drift, retrain].map((job) => [
    job.name,
    job,
  ]),
)
