/** Limits by company: what is ours to answer, but of one company no more than leaves room for the others. */
import type { Context } from "hono"
import { BoundedMap, type Limit } from "../../../shared/network/rate-limit.ts"
import type { AppEnv, Services } from "../services.ts"
import { apiLimit, buckets, setRateLimitHeaders, tooManyRequests, webhooksLimit } from "./limits.ts"

/**
 * Judges a call of the API for its company: by this isolate, then by Redis, which counts for all of them. While Redis is
 * away the isolate's own count holds. Throws TOO_MANY_REQUESTS.
 */
export async function enforceApiLimit(c: Context<AppEnv>, companyId: string): Promise<void> {
  const { config, now, sharedLimit } = c.get("services")
  const limit = apiLimit(config.limits)
  const own = buckets.take(limit, companyId, now().getTime())
  const told = own.isOver ? null : await sharedLimit(limit, companyId, 1)
  if (told?.isOver) buckets.block(limit, companyId, now().getTime(), told.resetMs)
  const isOver = own.isOver || told?.isOver === true
  const reading = told
    ? { limit, isOver, remaining: Math.min(own.remaining, told.remaining), resetMs: told.resetMs }
    : own
  if (isOver) throw tooManyRequests(reading, "company_asks_too_often")
  setRateLimitHeaders(c, reading)
}

/** Redis is told of a company's deliveries in shares of its limit: a quiet company costs Redis nothing at all. */
const SYNC_SHARE = 0.01
/** And of a busy one this often at most. */
const SYNC_EVERY_MS = 1_000
/** Companies that are busy in one isolate at once; one that is forgotten is counted from zero. */
const BUSY_MAX = 5_000

interface Unsynced {
  count: number
  syncedAtMs: number
}
const unsynced = new BoundedMap<string, Unsynced>(BUSY_MAX)

/**
 * Judges a believed delivery before it is written down. The verdict is this isolate's own and waits for nothing; Redis
 * hears of it after the answer, and what it says of the company holds here until its window ends. So a company that
 * spreads over n isolates can pass by n hundredths of its limit before all of them refuse it. Throws TOO_MANY_REQUESTS.
 */
export function enforceDeliveryLimit(c: Context<AppEnv>, companyId: string): void {
  const services = c.get("services")
  const limit = webhooksLimit(services.config.limits)
  const nowMs = services.now().getTime()
  const reading = buckets.take(limit, companyId, nowMs)
  if (reading.isOver) throw tooManyRequests(reading, "company_sends_too_often")
  setRateLimitHeaders(c, reading)
  const count = countToSync(limit, companyId, nowMs)
  if (count > 0) services.waitUntil(sync(services, limit, companyId, count))
}

/** How many deliveries Redis is to be told of now; 0 most of the time. */
function countToSync(limit: Limit, companyId: string, nowMs: number): number {
  const known = unsynced.get(companyId) ?? { count: 0, syncedAtMs: Number.NEGATIVE_INFINITY }
  known.count += 1
  const sinceMs = nowMs - known.syncedAtMs
  const isDue = known.count >= limit.max * SYNC_SHARE && (sinceMs < 0 || sinceMs >= SYNC_EVERY_MS)
  const { count } = known
  unsynced.set(companyId, isDue ? { count: 0, syncedAtMs: nowMs } : known)
  return isDue ? count : 0
}

/** What Redis does not take is lost: the isolate has counted it, and the next share comes within seconds. */
async function sync({ sharedLimit, now }: Services, limit: Limit, companyId: string, count: number): Promise<void> {
  const told = await sharedLimit(limit, companyId, count)
  if (told?.isOver) buckets.block(limit, companyId, now().getTime(), told.resetMs)
}
