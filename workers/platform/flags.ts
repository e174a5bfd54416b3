/**
 * Flags in Redis and Postgres: read in the order of `shared/flags/flags.ts`, changed in each store that answers, and
 * synced.
 */
import { readFlagCopy, saveFlag, saveFlagChange } from "../../db/queries/platform/flags.ts"
import { FLAG_NAMES, type FlagName, type FlagValue } from "../../shared/domain/flags.ts"
import {
  applyFlagChange,
  type FlagChange,
  pendingChanges,
  pendingKey,
  readFlagsInRedis,
  removePending,
  restoreRedisFlags,
  saveChangeInRedis,
} from "../../shared/flags/flag-store.ts"
import {
  type FlagFreshness,
  type Flags,
  flagDefaults,
  isNewerRevision,
  newest,
  newFlagCache,
  readFlags,
  rememberFlagChange,
  type SetFlag,
} from "../../shared/flags/flags.ts"
import { withTimeout } from "../../shared/network/with-timeout.ts"
import { AppError } from "./errors.ts"
import { readingWatched } from "./live/watching.ts"
import type { Services } from "./services.ts"

/** The isolate's cache, so that a webhook need not wait for Redis. */
const memory = newFlagCache()
let latest: Flags | null = null

/** The flags that this isolate read last; null before the first read. */
export const latestFlags = (): Flags | null => latest

/** The current flags, of the requested freshness. Never throws. */
export async function readCurrentFlags(
  services: Pick<Services, "config" | "db" | "redis" | "now" | "waitUntil">,
  need: FlagFreshness = {},
): Promise<Flags> {
  const { config, now, waitUntil } = services
  latest = await readFlags(
    {
      memory,
      defaults: flagDefaults(config.environment, config.switchDefaults),
      // Lazy, because creating the Redis client is a large part of the cost of a request.
      readRedis: async () => readFlagsInRedis(readingWatched(services.redis, () => now().getTime())),
      readCopy: () => readFlagCopy(services.db),
      fillRedis: (set) => restoreRedisFlags(services.redis, set),
      now,
      waitUntil,
    },
    need,
  )
  return latest
}

/** A store that accepted a change. */
export type FlagStore = "redis" | "postgres"

/** An operator in an emergency waits at most this long for each store's current value. */
const READ_TIMEOUT_MS = 1_000

/** A write that Redis missed is retried after these delays, sooner than the sweep would; all within ten seconds. */
const REDIS_RETRY_DELAYS_MS = [1_000, 3_000, 5_000]

/** When to try again after both stores were unavailable. */
const RETRY_AFTER_SECONDS = 5

/**
 * Sets a flag in both stores, or in the one that answers; the other is synced later. Of concurrent changes the last one
 * wins in both stores. Throws UNAVAILABLE when neither store accepted it.
 */
export async function changeFlag(
  services: Services,
  name: FlagName,
  value: FlagValue,
  by: { readonly who: string; readonly why: string | null },
): Promise<{ readonly flag: SetFlag; readonly storedIn: readonly FlagStore[] }> {
  const { db, redis, log, now, newId } = services
  const [inRedis, inPostgres] = await Promise.allSettled([
    withTimeout(
      READ_TIMEOUT_MS,
      readFlagsInRedis(redis).then(({ set }) => set),
    ),
    withTimeout(READ_TIMEOUT_MS, readFlagCopy(db)),
  ])
  // From now on this isolate also reads the copy in Postgres, until Redis answers again.
  if (inRedis.status === "rejected") memory.redisFailedAtMs = now().getTime()
  const known = [inRedis, inPostgres].map((reading) => (reading.status === "fulfilled" ? reading.value : {}))
  const before = known.reduce(newest)[name]
  const at = now()
  const change: FlagChange = {
    id: newId(),
    name,
    before: copyOf(before?.value ?? null),
    after: copyOf(value),
    who: by.who,
    why: by.why,
    at: at.toISOString(),
    revision: Math.max(at.getTime(), (before?.revision ?? 0) + 1),
  }
  // Redis is always tried: it fails within half a second, and all isolates read it. Postgres is not tried when its read
  // has already failed.
  const [redisWrite, postgresWrite] = await Promise.allSettled([
    saveChangeInRedis(redis, change),
    inPostgres.status === "fulfilled" ? saveFlagChange(db, change) : Promise.reject(inPostgres.reason),
  ])
  const storedIn: FlagStore[] = []
  if (redisWrite.status === "fulfilled") storedIn.push("redis")
  else log.warn("flag_store_failed", { flag: name, target: "redis", error: redisWrite.reason })
  if (postgresWrite.status === "fulfilled") storedIn.push("postgres")
  else log.warn("flag_store_failed", { flag: name, target: "postgres", error: postgresWrite.reason })
  if (storedIn.length === 0) {
    throw new AppError("UNAVAILABLE", "Neither Redis nor Postgres said that it took the change. Please try again.", {
      reason: "stores_away",
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    })
  }
  const flag = applyFlagChange(change)
  rememberFlagChange(memory, name, flag)
  if (storedIn.length === 2) services.waitUntil(removePending(redis, pendingKey(change)).catch(() => undefined))
  else if (!storedIn.includes("redis")) services.waitUntil(retryRedisWrite(services, name))
  return { flag, storedIn }
}

/** Ends with the first successful write of Postgres' current copy; after the last failure the sweep takes over. */
async function retryRedisWrite({ db, redis, log }: Services, name: FlagName): Promise<void> {
  for (const waitMs of REDIS_RETRY_DELAYS_MS) {
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    try {
      await restoreRedisFlags(redis, await readFlagCopy(db))
      return
    } catch {
      log.debug("flag_store_failed", { flag: name, target: "redis" })
    }
  }
}

/** Audit entries that one run of the sweep copies; flags change manually, so there are few. */
const PENDING_MAX = 100

/**
 * Gives Redis and Postgres the same flags, the newest of each, and Postgres the audit entries that it missed. Returns
 * how many entries and flags were copied. Throws while either store is unavailable.
 */
export async function syncFlagStores({ db, redis, log }: Services): Promise<number> {
  let copied = 0
  for (const { text, change } of await pendingChanges(redis, PENDING_MAX)) {
    if (change === null) log.error("flag_change_invalid")
    else await saveFlagChange(db, change)
    await removePending(redis, text)
    copied += 1
  }
  const [inRedis, copy] = await Promise.all([readFlagsInRedis(redis), readFlagCopy(db)])
  const all = newest(inRedis.set, copy)
  for (const name of FLAG_NAMES) {
    const flag = inRedis.set[name]
    if (flag === undefined || !isNewerRevision(flag, copy[name])) continue
    await saveFlag(db, name, flag)
    copied += 1
  }
  const missing = FLAG_NAMES.filter((name) => all[name]?.changeId !== inRedis.set[name]?.changeId)
  if (missing.length > 0 || !inRedis.isComplete) await restoreRedisFlags(redis, all)
  return copied + missing.length
}

/** A deep copy, so that nothing else can change its arrays. */
function copyOf(value: FlagValue): FlagChange["after"]
function copyOf(value: FlagValue | null): FlagChange["before"]
function copyOf(value: FlagValue | null): FlagChange["before"] {
  return value && { ...value, allow: [...value.allow], deny: [...value.deny] }
}
