/** Limits by network, checked before the body is read, in the memory of the isolate alone. */
import type { MiddlewareHandler } from "hono"
import type { Config } from "../../../shared/config.ts"
import type { Client } from "../../../shared/network/client-network.ts"
import type { Limit } from "../../../shared/network/rate-limit.ts"
import { TtlCache } from "../../../shared/ttl-cache.ts"
import type { AppEnv, Services } from "../services.ts"
import {
  buckets,
  clientFrom,
  failedAuthLimit,
  invalidRequestsLimit,
  setRateLimitHeaders,
  signInRequestsLimit,
  tooManyRequests,
  unknownSessionsLimit,
} from "./limits.ts"

/**
 * A client that sent a valid signature is a provider or QStash. Anybody can make these send invalid requests from the
 * addresses that they use for all customers (an endpoint in one's own account is enough), and must not get them
 * blocked. So addresses with a valid signature in this time bypass the limit; that costs one signature check per
 * request, no round trip.
 */
const VERIFIED_MS = 3_600_000
/** Providers send from dozens of addresses. */
const VERIFIED_MAX = 1_000
const verifiedNetworks = new TtlCache<true>({ ttlMs: VERIFIED_MS, entriesMax: VERIFIED_MAX })

const isVerified = ({ network }: Client, nowMs: number): boolean => verifiedNetworks.get(network, nowMs) === true

/** Answers to invalid requests. 429 is not among them: a refusal by a limit must not count against the limit. */
const INVALID_STATUSES: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 413, 415])

/**
 * For signed endpoints: counts requests that are unsigned, malformed or for an unknown address, and refuses a client
 * with too many of them before a body is read or a signature computed. Valid requests are not counted.
 */
export const limitInvalidRequests: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { config, now } = c.get("services")
  const client = clientFrom(c.req.raw.headers)
  const limit = invalidRequestsLimit(config.limits, client)
  const before = buckets.read(limit, client.network, now().getTime())
  if (before.isOver && !isVerified(client, now().getTime())) throw tooManyRequests(before, "client_sends_bad_requests")
  await next()
  if (INVALID_STATUSES.has(c.res.status)) setRateLimitHeaders(c, buckets.charge(limit, client.network, now().getTime()))
  else if (c.res.ok && !client.isShared) verifiedNetworks.set(client.network, true, now().getTime())
}

/** For public endpoints: counts every request of a client. */
export const limitRequests =
  (limitOf: (limits: Config["limits"], client: Client) => Limit): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const { config, now } = c.get("services")
    const client = clientFrom(c.req.raw.headers)
    const status = buckets.take(limitOf(config.limits, client), client.network, now().getTime())
    if (status.isOver) throw tooManyRequests(status, "client_asks_too_often")
    await next()
    setRateLimitHeaders(c, status)
  }

/** Throws TOO_MANY_REQUESTS for a client that has sent too many unknown keys, even if it sends a valid one now. */
export function blockBruteForce({ config, now }: Services, headers: Headers): void {
  const client = clientFrom(headers)
  const status = buckets.read(failedAuthLimit(config.limits, client), client.network, now().getTime())
  if (status.isOver) throw tooManyRequests(status, "client_guesses_keys")
}

/** Counts an unknown key over all isolates. Throws TOO_MANY_REQUESTS when all isolates together are over the limit. */
export async function countFailedAuth({ config, now, sharedLimit }: Services, headers: Headers): Promise<void> {
  const client = clientFrom(headers)
  const limit = failedAuthLimit(config.limits, client)
  buckets.charge(limit, client.network, now().getTime())
  const shared = await sharedLimit(limit, client.network, 1)
  if (!shared?.isOver) return
  buckets.block(limit, client.network, now().getTime(), shared.resetMs)
  throw tooManyRequests({ limit, ...shared }, "client_guesses_keys")
}

/** Counts a request for a link to sign in, over all isolates. Throws TOO_MANY_REQUESTS. */
export async function limitSignInRequests({ config, now, sharedLimit }: Services, headers: Headers): Promise<void> {
  const client = clientFrom(headers)
  const limit = signInRequestsLimit(config.limits, client)
  const own = buckets.take(limit, client.network, now().getTime())
  const shared = own.isOver ? null : await sharedLimit(limit, client.network, 1)
  if (own.isOver) throw tooManyRequests(own, "client_asks_for_links")
  if (shared?.isOver) throw tooManyRequests({ limit, ...shared }, "client_asks_for_links")
}

/**
 * Looks up a session, and counts a token of none against the client: each costs a query. Throws TOO_MANY_REQUESTS for a
 * client that has sent too many, even if it sends a valid one now.
 */
export async function countingUnknownSessions<Session>(
  { config, now }: Services,
  headers: Headers,
  lookUp: () => Promise<Session | null>,
): Promise<Session | null> {
  const client = clientFrom(headers)
  const limit = unknownSessionsLimit(config.limits, client)
  const before = buckets.read(limit, client.network, now().getTime())
  if (before.isOver) throw tooManyRequests(before, "client_guesses_sessions")
  const found = await lookUp()
  if (found === null) buckets.charge(limit, client.network, now().getTime())
  return found
}
