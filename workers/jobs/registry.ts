/** All jobs by name. */

import { interventions } from "../interventions/interventions-job.ts"
import { milestones } from "../interventions/milestones-job.ts"
import { sweep } from "../operations/sweep-job.ts"
import type { AnyJob } from "../platform/jobs/job.ts"
import { reconcile } from "../reconcile/reconcile-job.ts"
import { nudges } from "../recovery/nudges/nudges-job.ts"
import { reminders } from "../recovery/nudges/reminders-job.ts"
import { drift } from "../scoring/monitoring/drift-job.ts"
import { retrain } from "../scoring/monitoring/retrain-job.ts"
import { rescore } from "../scoring/rescore-job.ts"
import { ingest } from "../webhooks/ingest-job.ts"

export const JOBS: ReadonlyMap<string, AnyJob> = new Map(
  [reminders, nudges, ingest, sweep, reconcile, milestones, rescore, interventions, drift, retrain].map((job) => [
    job.name,
    job,
  ]),
)
