/**
 * The count that all isolates share, in Redis, with `@upstash/ratelimit`. By itself that package throws when Redis refuses
 * and lets everything pass after five seconds when Redis hangs; here both are one answer: Redis did not say, and the
 * isolate's own count holds.
 */
import { Ratelimit } from "@upstash/ratelimit"
import { toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"
import type { KeyRing } from "../../../shared/crypto/key-ring.ts"
import { BoundedMap, type Limit } from "../../../shared/network/rate-limit.ts"
import type { makeRedis } from "../redis.ts"

/** What Redis says of a key; null when it did not say. */
export type SharedLimitStatus = {
  readonly isOver: boolean
  readonly remaining: number
  readonly resetMs: number
} | null

/** Counts `count` against the limit over all isolates. Never throws, and takes 300 ms at most. */
export type SharedLimiter = (limit: Limit, key: string, count: number) => Promise<SharedLimitStatus>

/** An answer is not kept waiting for longer. */
const TIMEOUT_MS = 300
/** After a failure Redis is left alone this long, so that not every request waits for it to fail. */
const AFTER_FAILURE_MS = 2_000
/** More keys that are over their limit than this at once are a flood from everywhere, which no count by key stops. */
const BLOCKED_KEYS_MAX = 5_000
/** 96 bits tell keys apart; the rest would only cost space. */
const KEY_CHARS = 16

/** What the isolate remembers: keys that Redis said are over (the package's ephemeral cache), and when Redis failed. */
const blocked = new BoundedMap<string, number>(BLOCKED_KEYS_MAX)
let failedAtMs = Number.NEGATIVE_INFINITY

/**
 * A limiter for one request. Keys reach Redis as keyed hashes: no address and no id of anybody can be read there.
 * `platformNow` is the clock that the package counts by; the local world moves ours, but not that one.
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
      const told = await ratelimit.limit(name, { rate: count })
      if (told.reason === "timeout") throw new Error("Redis did not answer in time")
      if (!Number.isFinite(told.remaining)) {
        blocked.delete(`${prefix}:${name}`)
        throw new Error("Redis answered something else than a count")
      }
      const resetMs = Math.max(0, told.reset - use.platformNow())
      return { isOver: !told.success, remaining: told.remaining, resetMs }
    } catch {
      failedAtMs = use.platformNow() // the health check tells of Redis; here it only means: count alone
      return null
    }
  }

async function hashed(keys: KeyRing, name: string, key: string): Promise<string> {
  const { key: hmac } = await keys.deriveNewest("sign", ["rate-limit", name])
  return toBase64Url(new Uint8Array(await crypto.subtle.sign("HMAC", hmac, utf8(key)))).slice(0, KEY_CHARS)
}
