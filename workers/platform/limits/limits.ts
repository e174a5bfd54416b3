/** Which limits there are, and what this isolate has counted against them. */
import type { Context } from "hono"
import type { Config } from "../../../shared/config.ts"
import { type Client, networkOf } from "../../../shared/network/client-network.ts"
import { Buckets, type Limit, type LimitStatus } from "../../../shared/network/rate-limit.ts"
import { AppError } from "../errors.ts"
import type { AppEnv } from "../services.ts"

const MINUTE_MS = 60_000
const FAILED_AUTH_WINDOW_MS = 5 * MINUTE_MS

/** Monitors ask a few times a minute, and what they ask is remembered; more is no monitor. */
const HEALTH_PER_MINUTE = 300

/** People look at it, and programs read it once. */
const REFERENCE_PER_MINUTE = 60

/**
 * Where nothing tells clients apart (no `cf-connecting-ip`: there is no Cloudflare in front, as on a laptop) one client
 * stands for all of them, so it may do more; it is not unlimited.
 */
const SHARED_CLIENT_FACTOR = 100

/** About 100 bytes each. Floods come from fewer networks, or by so many that none of them reaches its limit. */
const KEYS_MAX = 20_000

/** Counts of this isolate, one for its life. */
export const buckets = new Buckets(KEYS_MAX)

type Limits = Config["limits"]

/** Believed deliveries of one company. */
export const webhooksLimit = ({ webhooksPerMinute }: Limits): Limit => ({
  name: "webhooks",
  max: webhooksPerMinute,
  windowMs: MINUTE_MS,
})

/** Calls of the API for one company. */
export const apiLimit = ({ apiPerMinute }: Limits): Limit => ({
  name: "api",
  max: apiPerMinute,
  windowMs: MINUTE_MS,
})

/** Requests of one client that turned out to be bad. */
export const invalidRequestsLimit = ({ badPerMinute }: Limits, client: Client): Limit =>
  perClient({ name: "bad", max: badPerMinute, windowMs: MINUTE_MS }, client)

/** Keys of one client that were none. */
export const failedAuthLimit = ({ failedAuthPer5Minutes }: Limits, client: Client): Limit =>
  perClient({ name: "auth", max: failedAuthPer5Minutes, windowMs: FAILED_AUTH_WINDOW_MS }, client)

/** Visits of one client to links in messages. */
export const linksLimit = ({ linksPerMinute }: Limits, client: Client): Limit =>
  perClient({ name: "links", max: linksPerMinute, windowMs: MINUTE_MS }, client)

/** Clicks of one customer that become facts; the limit of one isolate, which is where a flood of them arrives. */
export const clicksLimit: Limit = { name: "clicks", max: 100, windowMs: 60 * MINUTE_MS }

/** Looks of one client at how the suite is. */
export const healthLimit = (_: Limits, client: Client): Limit =>
  perClient({ name: "health", max: HEALTH_PER_MINUTE, windowMs: MINUTE_MS }, client)

/** Reads of one client of what the API is; the page is made anew for each. */
export const referenceLimit = (_: Limits, client: Client): Limit =>
  perClient({ name: "reference", max: REFERENCE_PER_MINUTE, windowMs: MINUTE_MS }, client)

const perClient = (limit: Limit, { isShared }: Client): Limit =>
  isShared ? { ...limit, name: `${limit.name}-shared`, max: limit.max * SHARED_CLIENT_FACTOR } : limit

/** Who sent these headers. Only the platform's own header counts: the caller writes all the others. */
export const clientFrom = (headers: Headers): Client => networkOf(headers.get("cf-connecting-ip"))

/** Says in the answer how the caller stands (draft-ietf-httpapi-ratelimit-headers-07). */
export function setRateLimitHeaders(c: Context<AppEnv>, reading: LimitStatus): void {
  for (const [name, value] of Object.entries(headersOf(reading))) c.header(name, value)
}

/** The refusal of what is over its limit; it says so, and when to come again. */
export const tooManyRequests = (reading: LimitStatus, reason: string): AppError =>
  new AppError("TOO_MANY_REQUESTS", "There were too many requests. Please try again later.", {
    reason,
    retryAfterSeconds: Math.max(1, Math.ceil(reading.resetMs / 1_000)),
    headers: headersOf(reading),
  })

const headersOf = ({ limit, remaining, resetMs }: LimitStatus): Readonly<Record<string, string>> => ({
  "ratelimit-limit": String(limit.max),
  "ratelimit-remaining": String(remaining),
  "ratelimit-reset": String(Math.ceil(resetMs / 1_000)),
  "ratelimit-policy": `${limit.max};w=${limit.windowMs / 1_000}`,
})
