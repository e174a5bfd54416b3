/** Runs of scheduled jobs. They belong to no tenant. */
import { lt } from "drizzle-orm"
import type { Db } from "../client.ts"
import { jobRuns } from "../schema.ts"

/** A month of runs is enough to see a pattern. */
const KEPT_MS = 30 * 86_400_000

/** Notes a finished run, and forgets those of more than a month ago. */
export async function recordJobRun(
  db: Db,
  run: {
    readonly job: string
    readonly source: string
    readonly startedAt: Date
    readonly finishedAt: Date
    readonly outcome: string
    readonly details: Readonly<Record<string, number>>
  },
): Promise<void> {
  await db.batch([
    db.insert(jobRuns).values(run),
    db.delete(jobRuns).where(lt(jobRuns.startedAt, new Date(run.startedAt.getTime() - KEPT_MS))),
  ])
}
