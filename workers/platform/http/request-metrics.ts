/**
 * Counts of requests and refolds of all isolates: each adds its counts per minute to Redis, after an answer and at intervals. While
 * Redis is unavailable an isolate keeps its last minutes; counts that it never sends are missing from the metrics, and
 * nowhere else.
 */

import { withTimeout } from "../../../shared/network/with-timeout.ts"
import {
  AREAS,
  type Area,
  addCounts,
  areaOf,
  type Counts,
  isClientError,
  minuteOf,
  type Refolds,
  RequestCounter,
} from "../../../shared/observability/metrics.ts"
import type { Services } from "../services.ts"

/** At most one pipeline per isolate in this time. */
const FLUSH_EVERY_MS = 10_000
/** Metrics are read over at most an hour; the rest allows for a wrong clock. */
const RETENTION_SECONDS = 2 * 3_600
const RETENTION_MINUTES = RETENTION_SECONDS / 60
/** For the whole pipeline; the client's own time-out of a command is shorter. */
const READ_TIMEOUT_MS = 1_000

/** The counts that this isolate has not sent to Redis, and when it last tried. */
const tally = new RequestCounter(RETENTION_MINUTES)
let flushedAtMs = Number.NEGATIVE_INFINITY

const REFOLD_PARTS = ["whole", "lastSecond", "facts"] as const satisfies (keyof Refolds)[]
const PARTS = ["requests", "refused", "errors", "durationMs"] as const
const keyOf = (minute: number): string => `figures:${minute}`
const fieldOf = (area: Area, part: (typeof PARTS)[number]): string => `${area}:${part}`
const refoldFieldOf = (part: keyof Refolds): string => `refolds:${part}`

/** Counts an answered request; the answer does not wait for it. */
export function countRequest(
  services: Services,
  request: { readonly path: string; readonly status: number; readonly startedAt: Date },
): void {
  const area = areaOf(request.path)
  if (area === null) return
  const nowMs = services.now().getTime()
  tally.count(area, request.status, nowMs - request.startedAt.getTime(), nowMs)
  // A flood of refused requests must not cause Redis calls; their counts are sent with the next other request.
  if (isClientError(request.status)) return
  const sinceMs = nowMs - flushedAtMs
  if (sinceMs >= 0 && sinceMs < FLUSH_EVERY_MS) return
  flushedAtMs = nowMs
  services.waitUntil(flush(services))
}

/** Counts a refold; it is sent with the counts of a later request. */
export const countRefold = ({ now }: Services, refold: { readonly isWhole: boolean; readonly facts: number }): void =>
  tally.countRefold(refold, now().getTime())

/** Sends the counts in one pipeline. After a failure they are kept, and counted twice if only the reply was lost. */
async function flush(services: Services): Promise<void> {
  const taken = tally.take()
  try {
    const pipeline = services.redis.pipeline()
    for (const [minute, counts] of taken) {
      for (const area of AREAS) {
        for (const part of PARTS) {
          const by = Math.round(counts[area][part])
          if (by > 0) pipeline.hincrby(keyOf(minute), fieldOf(area, part), by)
        }
      }
      for (const part of REFOLD_PARTS) {
        if (counts.refolds[part] > 0) pipeline.hincrby(keyOf(minute), refoldFieldOf(part), counts.refolds[part])
      }
      pipeline.expire(keyOf(minute), RETENTION_SECONDS)
    }
    await pipeline.exec()
  } catch (error) {
    for (const [minute, counts] of taken) tally.add(minute, counts)
    services.log.warn("metrics_flush_failed", { error })
  }
}

/**
 * The counts of the minutes `from` to `to`, both included: what all isolates have sent, and this one's unsent counts.
 * `isPartial`: Redis did not answer, and it is this isolate's count alone.
 */
export async function readCounts(
  { redis, log }: Services,
  from: number,
  to: number,
): Promise<{ readonly counts: Counts; readonly isPartial: boolean }> {
  const own = tally.sum(from, to)
  try {
    const pipeline = redis.pipeline()
    for (let minute = from; minute <= to; minute++) pipeline.hgetall(keyOf(minute))
    const minutes = await withTimeout(READ_TIMEOUT_MS, pipeline.exec<(Record<string, unknown> | null)[]>())
    return {
      counts: minutes.reduce<Counts>((sum, fields) => addCounts(sum, countsOf(fields ?? {})), own),
      isPartial: false,
    }
  } catch (error) {
    log.warn("metrics_read_failed", { error })
    return { counts: own, isPartial: true }
  }
}

function countsOf(fields: Readonly<Record<string, unknown>>): Counts {
  const numberOf = (field: string): number => {
    const value = Number(fields[field] ?? 0)
    return Number.isFinite(value) ? value : 0
  }
  const countOf = (area: Area) => ({
    requests: numberOf(fieldOf(area, "requests")),
    refused: numberOf(fieldOf(area, "refused")),
    errors: numberOf(fieldOf(area, "errors")),
    durationMs: numberOf(fieldOf(area, "durationMs")),
  })
  return {
    ...{ webhooks: countOf("webhooks"), api: countOf("api"), jobs: countOf("jobs"), links: countOf("links") },
    refolds: {
      whole: numberOf(refoldFieldOf("whole")),
      lastSecond: numberOf(refoldFieldOf("lastSecond")),
      facts: numberOf(refoldFieldOf("facts")),
    },
  }
}

/** The minutes that a window of `minutes` minutes up to now touches. */
export const windowOf = (now: Date, minutes: number): { readonly from: number; readonly to: number } => {
  const to = minuteOf(now.getTime())
  return { from: to - minutes, to }
}
