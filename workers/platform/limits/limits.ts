/** The limits, and this isolate's counts. */
import type { Context } from "hono"
import type { Config } from "../../../shared/config.ts"
import { type Client, networkOf } from "../../../shared/network/client-network.ts"
import { Buckets, type Limit, type LimitStatus } from "../../../shared/network/rate-limit.ts"
import { AppError } from "../errors.ts"

const MINUTE_MS = 60_000
const FAILED_AUTH_WINDOW_MS = 5 * MINUTE_MS

/** Monitors call a few times a minute. */
const HEALTH_PER_MINUTE = 300

/** People read it, and programs load it once. */
const REFERENCE_PER_MINUTE = 60

/** Fifty a second; most are answered from the isolate's memory. */
const LOGOS_PER_MINUTE = 3_000

/**
 * Without `cf-connecting-ip` (no Cloudflare in front, as on a laptop) clients cannot be distinguished and share one
 * count, with this many times the limit.
 */
const SHARED_CLIENT_FACTOR = 100

/** About 100 bytes each. A flood comes from fewer networks, or from so many that none of them reaches its limit. */
const KEYS_MAX = 20_000

/** The counts of this isolate. */
export const buckets = new Buckets(KEYS_MAX)

type Limits = Config["limits"]

/** Verified deliveries of one company. */
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

/** Invalid requests of one client. */
export const invalidRequestsLimit = ({ badPerMinute }: Limits, client: Client): Limit =>
  perClient({ name: "bad", max: badPerMinute, windowMs: MINUTE_MS }, client)

/** Unknown keys of one client. */
export const failedAuthLimit = ({ failedAuthPer5Minutes }: Limits, client: Client): Limit =>
  perClient({ name: "auth", max: failedAuthPer5Minutes, windowMs: FAILED_AUTH_WINDOW_MS }, client)

/** Tokens of one client that belong to no session. A browser whose session has ended sends a few of them. */
export const unknownSessionsLimit = ({ badPerMinute }: Limits, client: Client): Limit =>
  perClient({ name: "session", max: badPerMinute, windowMs: MINUTE_MS }, client)

/** Links to sign in that one client asks for. */
export const signInRequestsLimit = ({ failedAuthPer5Minutes }: Limits, client: Client): Limit =>
  perClient({ name: "sign-in", max: failedAuthPer5Minutes, windowMs: FAILED_AUTH_WINDOW_MS }, client)

/** Streams of changes that one company opens. Each ends after two minutes, so at most twice as many are open at once. */
export const changeStreamsLimit: Limit = { name: "changes", max: 60, windowMs: MINUTE_MS }

/** Visits of one client to links in messages. */
export const linksLimit = ({ linksPerMinute }: Limits, client: Client): Limit =>
  perClient({ name: "links", max: linksPerMinute, windowMs: MINUTE_MS }, client)

/** Logos that one client loads, apart from visits to links: a mail program's proxy loads them for many members. */
export const logosLimit = (_: Limits, client: Client): Limit =>
  perClient({ name: "logos", max: LOGOS_PER_MINUTE, windowMs: MINUTE_MS }, client)

/** Clicks of one customer that become facts. Per isolate, since a flood of one customer arrives at one isolate. */
export const clicksLimit: Limit = { name: "clicks", max: 100, windowMs: 60 * MINUTE_MS }

/** Drafts of a text model for one company: each costs the deployment money, and a person reads each. */
export const suggestionsLimit: Limit = { name: "suggestions", max: 60, windowMs: 60 * MINUTE_MS }

/** Health requests of one client. */
export const healthLimit = (_: Limits, client: Client): Limit =>
  perClient({ name: "health", max: HEALTH_PER_MINUTE, windowMs: MINUTE_MS }, client)

/** Requests of one client for the API reference; the page is rendered for each. */
export const referenceLimit = (_: Limits, client: Client): Limit =>
  perClient({ name: "reference", max: REFERENCE_PER_MINUTE, windowMs: MINUTE_MS }, client)

const perClient = (limit: Limit, { isShared }: Client): Limit =>
  isShared ? { ...limit, name: `${limit.name}-shared`, max: limit.max * SHARED_CLIENT_FACTOR } : limit

/** The client that sent these headers. Only Cloudflare's header is used: the caller controls all others. */
export const clientFrom = (headers: Headers): Client => networkOf(headers.get("cf-connecting-ip"))

/** Sets the RateLimit headers of the answer (draft-ietf-httpapi-ratelimit-headers-07). */
export function setRateLimitHeaders(c: Context, status: LimitStatus): void {
  for (const [name, value] of Object.entries(headersOf(status))) c.header(name, value)
}

/** The refusal of a request over its limit, with the time of the next try. */
export const tooManyRequests = (status: LimitStatus, reason: string): AppError =>
  new AppError("TOO_MANY_REQUESTS", "There were too many requests. Please try again later.", {
    reason,
    retryAfterSeconds: Math.max(1, Math.ceil(status.resetMs / 1_000)),
    headers: headersOf(status),
  })

const headersOf = ({ limit, remaining, resetMs }: LimitStatus): Readonly<Record<string, string>> => ({
  "ratelimit-limit": String(limit.max),
  "ratelimit-remaining": String(remaining),
  "ratelimit-reset": String(Math.ceil(resetMs / 1_000)),
  "ratelimit-policy": `${limit.max};w=${limit.windowMs / 1_000}`,
})
