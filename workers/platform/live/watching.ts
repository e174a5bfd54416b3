/** Whether anybody looks at a page that shows changes: a key in Redis, which isolates read together with the flags. */
import { TtlCache } from "../../../shared/ttl-cache.ts"

/** Exists while a stream of changes of any company is open, and a little longer. */
export const WATCHED_KEY = "live:watched"

/** As long as flags are used without a store that answers. */
const KNOWN_MS = 60_000

const watching = new TtlCache<boolean>({ ttlMs: KNOWN_MS, entriesMax: 1 })

export const rememberWatching = (isWatched: boolean, nowMs: number): void => watching.set("any", isWatched, nowMs)

/** Whether changes are worth a request, as far as this isolate knows. */
export const isWatching = (nowMs: number): boolean => watching.get("any", nowMs) === true

/** The Redis commands that are used. */
interface Reader {
  mget<Values extends unknown[]>(...keys: string[]): Promise<Values>
}

/** Reads keys as given, and in the same round trip whether anybody watches. */
export const readingWatched = (redis: Reader, nowMs: () => number): Reader => ({
  async mget<Values extends unknown[]>(...keys: string[]): Promise<Values> {
    const values = await redis.mget<unknown[]>(...keys, WATCHED_KEY)
    const watched = values.pop()
    rememberWatching(watched !== null && watched !== undefined, nowMs())
    return values as Values // as many values as keys were asked for
  },
})
