/** Limits by company, so that one company leaves room for the others. */
import type { Context } from "hono"
import { BoundedMap, type Limit } from "../../../shared/network/rate-limit.ts"
import type { AppEnv, Services } from "../services.ts"
import { apiLimit, buckets, setRateLimitHeaders, tooManyRequests, webhooksLimit } from "./limits.ts"

/** Counts an API call, or a page of the dashboard, of a company. Throws TOO_MANY_REQUESTS. */
export async function enforceApiLimit<E extends AppEnv>(c: Context<E>, companyId: string): Promise<void> {
  await enforceCompanyLimit(c, apiLimit(c.get("services").config.limits), companyId)
}

/**
 * Counts a call of a company in this isolate, then in Redis, which counts for all isolates. While Redis is unavailable the
 * isolate's own count applies. Throws TOO_MANY_REQUESTS.
 */
export async function enforceCompanyLimit<E extends AppEnv>(
  c: Context<E>,
  limit: Limit,
  companyId: string,
): Promise<void> {
  const { now, sharedLimit } = c.get("services")
  const own = buckets.take(limit, companyId, now().getTime())
  const shared = own.isOver ? null : await sharedLimit(limit, companyId, 1)
  if (shared?.isOver) buckets.block(limit, companyId, now().getTime(), shared.resetMs)
  const isOver = own.isOver || shared?.isOver === true
  const status = shared
    ? { limit, isOver, remaining: Math.min(own.remaining, shared.remaining), resetMs: shared.resetMs }
    : own
  if (isOver) throw tooManyRequests(status, "company_asks_too_often")
  setRateLimitHeaders(c, status)
}

/** An invocation of the free plan has fifty subrequests, so the further pages of an export are not reported to Redis one by one. */
const PAGES_PER_REPORT = 10

/** Counts the further pages that one request reads. */
export interface FurtherPages {
  /** Counts one more; false: the company's limit refuses it. */
  readonly take: () => Promise<boolean>
  /** Reports the counted pages that Redis does not know yet, after the answer. */
  readonly finish: () => void
}

/** Counts what an export reads after its first page as that many calls of the API. */
export function furtherPages(services: Services, companyId: string): FurtherPages {
  const limit = apiLimit(services.config.limits)
  let unreported = 0
  return {
    async take() {
      if (buckets.take(limit, companyId, services.now().getTime()).isOver) return false
      unreported += 1
      if (unreported < PAGES_PER_REPORT) return true
      const count = unreported
      unreported = 0
      return !(await sync(services, limit, companyId, count))
    },
    finish() {
      if (unreported > 0) services.waitUntil(sync(services, limit, companyId, unreported))
    },
  }
}

/** Deliveries are reported to Redis once they reach this share of the limit, so a quiet company costs no Redis call. */
const SYNC_SHARE = 0.01
/** For a busy company at most this often. */
const SYNC_EVERY_MS = 1_000
/** Companies counted in one isolate; one that is evicted is counted from zero. */
const BUSY_MAX = 5_000

interface Unsynced {
  count: number
  syncedAtMs: number
}
const unsynced = new BoundedMap<string, Unsynced>(BUSY_MAX)

/**
 * Counts a verified delivery before it is recorded. The isolate decides by its own count and waits for nothing; the
 * count goes to Redis after the answer, and a refusal by Redis applies here until its window ends. So a company whose
 * deliveries reach n isolates can exceed its limit by n hundredths before all of them refuse it. Throws
 * TOO_MANY_REQUESTS.
 */
export function enforceDeliveryLimit(c: Context<AppEnv>, companyId: string): void {
  const services = c.get("services")
  const limit = webhooksLimit(services.config.limits)
  const nowMs = services.now().getTime()
  const status = buckets.take(limit, companyId, nowMs)
  if (status.isOver) throw tooManyRequests(status, "company_sends_too_often")
  setRateLimitHeaders(c, status)
  const count = countToSync(limit, companyId, nowMs)
  if (count > 0) services.waitUntil(sync(services, limit, companyId, count))
}

/** How many deliveries to report to Redis now; usually 0. */
function countToSync(limit: Limit, companyId: string, nowMs: number): number {
  const known = unsynced.get(companyId) ?? { count: 0, syncedAtMs: Number.NEGATIVE_INFINITY }
  known.count += 1
  const sinceMs = nowMs - known.syncedAtMs
  const isDue = known.count >= limit.max * SYNC_SHARE && (sinceMs < 0 || sinceMs >= SYNC_EVERY_MS)
  const { count } = known
  unsynced.set(companyId, isDue ? { count: 0, syncedAtMs: nowMs } : known)
  return isDue ? count : 0
}

/**
 * Reports a count to Redis; true: it exceeds the limit of all isolates. A count that Redis does not accept is dropped: the
 * isolate has counted it, and the next report follows within seconds.
 */
async function sync({ sharedLimit, now }: Services, limit: Limit, companyId: string, count: number): Promise<boolean> {
  const shared = await sharedLimit(limit, companyId, count)
  if (shared?.isOver) buckets.block(limit, companyId, now().getTime(), shared.resetMs)
  return shared?.isOver === true
}
