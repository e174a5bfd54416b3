/** Live metrics over all tenants: counts, without data of a single one. */
import { sql } from "drizzle-orm"
import type { Db } from "../../client.ts"

export interface LiveMetrics {
  /**
   * Received events: finished, failed (also those not processed in time), and waiting to be processed or for a switch.
   */
  readonly processing: {
    readonly received: number
    readonly processed: number
    readonly failed: number
    readonly waiting: number
  }
  /** Nudges with a final status. */
  readonly delivery: { readonly sent: number; readonly failed: number; readonly unknown: number }
}

/** Processing takes seconds; an event that waits for longer was not processed. */
const WAITING_MS_MAX = 60_000

/** Counts events and nudges since `from`. */
export async function liveMetrics(db: Db, from: Date, now: Date): Promise<LiveMetrics> {
  const waitingSince = new Date(now.getTime() - WAITING_MS_MAX).toISOString()
  const result = await db.execute<{ figures: LiveMetrics }>(
    sql`select live_figures(${from.toISOString()}, ${waitingSince}) as figures`,
  )
  const row = result.rows[0]
  if (!row) throw new Error("live_figures returned no row")
  return row.figures
}
