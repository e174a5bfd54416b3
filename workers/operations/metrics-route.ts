/** `/api/figures`: metrics of the whole deployment over the last minutes, for operators and the gates of `rollout`. */
import { Hono } from "hono"
import * as z from "zod"
import { type LiveMetrics, liveMetrics } from "../../db/queries/operations/metrics.ts"
import { type Counts, ratioOf, summarizeRequests } from "../../shared/observability/metrics.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validQuery } from "../platform/http/request.ts"
import { readCounts, windowOf } from "../platform/http/request-metrics.ts"
import type { AppEnv } from "../platform/services.ts"

const MINUTE_MS = 60_000
const MINUTES_DEFAULT = 15
/** Request counts are kept for two hours, and Postgres scans all events of the window. */
const MINUTES_MAX = 60

const query = z.strictObject({
  minutes: z
    .string()
    .regex(/^[1-9]\d?$/, `expected a whole number from 1 to ${MINUTES_MAX}`)
    .transform(Number)
    .pipe(z.number().max(MINUTES_MAX, `expected at most ${MINUTES_MAX}`))
    .default(MINUTES_DEFAULT),
})

export const metricsApi = new Hono<AppEnv>().get("/", withPermission("figures:read"), validQuery(query), async (c) => {
  const { minutes } = c.req.valid("query")
  const services = c.get("services")
  const now = services.now()
  const { from, to } = windowOf(now, minutes)
  const [{ counts, isPartial }, live] = await Promise.all([
    readCounts(services, from, to),
    liveMetrics(services.db, new Date(from * MINUTE_MS), now),
  ])
  return c.json({ windowMinutes: minutes, isPartial, ...summarizeRuntime(counts, live) })
})

/** The metrics of a window. A ratio is null when its denominator is zero. */
export function summarizeRuntime(counts: Counts, { processing, delivery }: LiveMetrics) {
  const { processed, failed } = processing
  return {
    ...summarizeRequests(counts),
    refolds: counts.refolds,
    processing: { ...processing, success: ratioOf(processed, processed + failed) },
    delivery: { ...delivery, rate: ratioOf(delivery.sent, delivery.sent + delivery.failed + delivery.unknown) },
  }
}
