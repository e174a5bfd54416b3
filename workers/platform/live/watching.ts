/** Whether a live page is open anywhere: a key in Redis, which isolates read together with the flags. */
import { TtlCache } from "../../../shared/ttl-cache.ts"

/** Exists while a live page of any company is open, and expires three minutes after the last one closes. */
export const WATCHED_KEY = "live:watched"

/** The same time for which cached flags are used when no store answers. */
const KNOWN_MS = 60_000

const watching = new TtlCache<boolean>({ ttlMs: KNOWN_MS, entriesMax: 1 })

export const rememberWatching = (isWatched: boolean, nowMs: number): void => watching.set("any", isWatched, nowMs)

/** Whether a live page is open, according to this isolate's cache. */
export const isWatching = (nowMs: number): boolean => watching.get("any", nowMs) === true

/** The Redis commands that are used. */
interface Reader {
  mget<Values extends unknown[]>(...keys: string[]): Promise<Values>
}

/** Reads the given keys, and in the same round trip whether a live page is open. */
export const readingWatched = (redis: Reader, nowMs: () => number): Reader => ({
  async mget<Values extends unknown[]>(...keys: string[]): Promise<Values> {
    const values = await redis.mget<unknown[]>(...keys, WATCHED_KEY)
    const watched = values.pop()
    rememberWatching(watched !== null && watched !== undefined, nowMs())
    return values as Values // as many values as keys were asked for
  },
})
