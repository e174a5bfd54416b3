/** Limits by where a request comes from, judged before anything is read of it, in the memory of the isolate alone. */
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
  tooManyRequests,
} from "./limits.ts"

/**
 * A client whose signature was believed is a provider or QStash. Anybody can have these send badly signed requests to us
 * from the addresses they use for all (an endpoint of a strange account is enough), and must not shut them out by that:
 * for so long such a client is heard whatever else comes from it. It costs a signature each, and no round trip.
 */
const VERIFIED_MS = 3_600_000
/** Providers send from dozens of addresses. */
const VERIFIED_MAX = 1_000
const verifiedNetworks = new TtlCache<true>({ ttlMs: VERIFIED_MS, entriesMax: VERIFIED_MAX })

const isBelieved = ({ network }: Client, nowMs: number): boolean => verifiedNetworks.get(network, nowMs) === true

/** Answers that are the caller's fault; over a limit is none of them, or one would lead to the other. */
const BAD: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 413, 415])

/**
 * For signed endpoints: counts requests that turn out unsigned, malformed or for nobody, and refuses who sends too many of
 * them before a body is read or a signature computed. Good requests are not counted, however many come from one address.
 */
export const limitInvalidRequests: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { config, now } = c.get("services")
  const client = clientFrom(c.req.raw.headers)
  const limit = invalidRequestsLimit(config.limits, client)
  const before = buckets.read(limit, client.network, now().getTime())
  if (before.isOver && !isBelieved(client, now().getTime())) throw tooManyRequests(before, "client_sends_bad_requests")
  await next()
  if (BAD.has(c.res.status)) setRateLimitHeaders(c, buckets.charge(limit, client.network, now().getTime()))
  else if (c.res.ok && !client.isShared) verifiedNetworks.set(client.network, true, now().getTime())
}

/** For what anybody may ask: counts every request of a client. */
export const limitRequests =
  (limitOf: (limits: Config["limits"], client: Client) => Limit): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const { config, now } = c.get("services")
    const client = clientFrom(c.req.raw.headers)
    const reading = buckets.take(limitOf(config.limits, client), client.network, now().getTime())
    if (reading.isOver) throw tooManyRequests(reading, "client_asks_too_often")
    await next()
    setRateLimitHeaders(c, reading)
  }

/** Throws TOO_MANY_REQUESTS for a client that has shown too many keys that are none, whatever it shows now. */
export function blockBruteForce({ config, now }: Services, headers: Headers): void {
  const client = clientFrom(headers)
  const reading = buckets.read(failedAuthLimit(config.limits, client), client.network, now().getTime())
  if (reading.isOver) throw tooManyRequests(reading, "client_guesses_keys")
}

/** Counts a key that is none, over all isolates. Throws TOO_MANY_REQUESTS when others of them have counted enough. */
export async function countFailedAuth({ config, now, sharedLimit }: Services, headers: Headers): Promise<void> {
  const client = clientFrom(headers)
  const limit = failedAuthLimit(config.limits, client)
  buckets.charge(limit, client.network, now().getTime())
  const told = await sharedLimit(limit, client.network, 1)
  if (!told?.isOver) return
  buckets.block(limit, client.network, now().getTime(), told.resetMs)
  throw tooManyRequests({ limit, ...told }, "client_guesses_keys")
}
