/** How the suite does at this moment, over all tenants: counts, and nothing that belongs to one of them. */
import { sql } from "drizzle-orm"
import type { Db } from "../../client.ts"

export interface LiveMetrics {
  /** Events that came: done with, failed (also those left lying), and waiting their turn or for a switch. */
  readonly processing: {
    readonly received: number
    readonly processed: number
    readonly failed: number
    readonly waiting: number
  }
  /** Nudges that ended. */
  readonly delivery: { readonly sent: number; readonly failed: number; readonly unknown: number }
}

/** Processing takes seconds; an event that has lain for longer has been left behind. */
const WAITING_MS_MAX = 60_000

/** Counts what came and what was sent since `from`. */
export async function liveMetrics(db: Db, from: Date, now: Date): Promise<LiveMetrics> {
  const waitingSince = new Date(now.getTime() - WAITING_MS_MAX).toISOString()
  const result = await db.execute<{ figures: LiveMetrics }>(
    sql`select live_figures(${from.toISOString()}, ${waitingSince}) as figures`,
  )
  const row = result.rows[0]
  if (!row) throw new Error("live_figures answered nothing")
  return row.figures
}
