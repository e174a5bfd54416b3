/**
 * The count that all isolates share, in Redis, with `@upstash/ratelimit`. That package throws when Redis refuses, and
 * lets everything pass after five seconds when Redis hangs; here both return null, and the isolate's own count applies.
 */
import { Ratelimit } from "@upstash/ratelimit"
import { toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"
import type { KeyRing } from "../../../shared/crypto/key-ring.ts"
import { BoundedMap, type Limit } from "../../../shared/network/rate-limit.ts"
import type { makeRedis } from "../redis.ts"

/** The shared status of a key; null when Redis did not answer. */
export type SharedLimitStatus = {
  readonly isOver: boolean
  readonly remaining: number
  readonly resetMs: number
} | null

/** Adds `count` to the shared count of a key. Never throws, and takes 300 ms at most. */
export type SharedLimiter = (limit: Limit, key: string, count: number) => Promise<SharedLimitStatus>

/** A request must not wait longer for its limit. */
const TIMEOUT_MS = 300
/** After a failure Redis is not called for this long, so that not every request waits for a time-out. */
const AFTER_FAILURE_MS = 2_000
/** More keys over their limit at once are a distributed flood, which no limit per key stops. */
const BLOCKED_KEYS_MAX = 5_000
/** 96 bits distinguish keys; more would only take space. */
const KEY_CHARS = 16

/** Per isolate: keys over their limit in Redis (the package's ephemeral cache), and when Redis failed. */
const blocked = new BoundedMap<string, number>(BLOCKED_KEYS_MAX)
let failedAtMs = Number.NEGATIVE_INFINITY

/**
 * A limiter for one request. Keys are stored in Redis as keyed hashes, so no address and no id can be read there.
 * `platformNow` is the clock that the package uses; the local world moves our clock, but not that one.
 */
export const sharedLimiter =
  (use: {
    readonly redis: () => ReturnType<typeof makeRedis>
    readonly keys: KeyRing
    readonly platformNow: () => number
  }): SharedLimiter =>
  async (limit, key, count) => {
    const sinceFailureMs = use.platformNow() - failedAtMs
    if (sinceFailureMs >= 0 && sinceFailureMs < AFTER_FAILURE_MS) return null
    const prefix = `rate:${limit.name}`
    const name = await hashed(use.keys, limit.name, key)
    const ratelimit = new Ratelimit({
      redis: use.redis(),
      limiter: Ratelimit.slidingWindow(limit.max, `${limit.windowMs} ms`),
      prefix,
      timeout: TIMEOUT_MS,
      ephemeralCache: blocked,
      analytics: false, // it would keep identifiers for 90 days
      enableTelemetry: false,
    })
    try {
      const answer = await ratelimit.limit(name, { rate: count })
      if (answer.reason === "timeout") throw new Error("Redis did not answer in time")
      if (!Number.isFinite(answer.remaining)) {
        blocked.delete(`${prefix}:${name}`)
        throw new Error("Redis answered something else than a count")
      }
      const resetMs = Math.max(0, answer.reset - use.platformNow())
      return { isOver: !answer.success, remaining: answer.remaining, resetMs }
    } catch {
      failedAtMs = use.platformNow() // the health check reports the failure
      return null
    }
  }

async function hashed(keys: KeyRing, name: string, key: string): Promise<string> {
  const { key: hmac } = await keys.deriveNewest("sign", ["rate-limit", name])
  return toBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", hmac, utf8(key)))).slice(0, KEY_CHARS)
}
