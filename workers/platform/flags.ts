/** Flags in both stores: read by the chain of `shared/flags/flags.ts`, changed in each that answers, and brought together again. */
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
import type { Services } from "./services.ts"

/** What the isolate remembers, so that a webhook need not wait for Redis. */
const memory = newFlagCache()
let latest: Flags | null = null

/** The last reading of this isolate; null before the first. */
export const latestFlags = (): Flags | null => latest

/** The flags of this moment, as exact as asked for. Never throws. */
export async function readCurrentFlags(
  services: Pick<Services, "config" | "db" | "redis" | "now" | "waitUntil">,
  need: FlagFreshness = {},
): Promise<Flags> {
  const { config, now, waitUntil } = services
  latest = await readFlags(
    {
      memory,
      defaults: flagDefaults(config.environment, config.switchDefaults),
      // Redis is touched only when it is asked: making its client is a good part of what a request costs.
      readRedis: async () => readFlagsInRedis(services.redis),
      readCopy: () => readFlagCopy(services.db),
      fillRedis: (set) => restoreRedisFlags(services.redis, set),
      now,
      waitUntil,
    },
    need,
  )
  return latest
}

/** A store that took a change. */
export type FlagStore = "redis" | "postgres"

/** An operator in an emergency waits this long for each store to say what it holds. */
const READ_TIMEOUT_MS = 1_000

/** When Redis missed a change it is told again after these waits, before the sweeper would; together within ten seconds. */
const REDIS_RETRY_DELAYS_MS = [1_000, 3_000, 5_000]

/** Seconds after which both stores being away is worth another try. */
const RETRY_AFTER_SECONDS = 5

/**
 * Sets a flag in both stores, or in the one that answers; the other is brought up to it later. Of changes at once the last
 * wins in both alike. Throws UNAVAILABLE when neither took it.
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
  // From now on this isolate asks the copy as well, until Redis answers again.
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
  // Redis fails within half a second and is where everybody looks: it is tried in any case. A Postgres that did not say what
  // it holds is not waited for a second time.
  const [redisTook, postgresTook] = await Promise.allSettled([
    saveChangeInRedis(redis, change),
    inPostgres.status === "fulfilled" ? saveFlagChange(db, change) : Promise.reject(inPostgres.reason),
  ])
  const storedIn: FlagStore[] = []
  if (redisTook.status === "fulfilled") storedIn.push("redis")
  else log.warn("flag_store_failed", { flag: name, target: "redis", error: redisTook.reason })
  if (postgresTook.status === "fulfilled") storedIn.push("postgres")
  else log.warn("flag_store_failed", { flag: name, target: "postgres", error: postgresTook.reason })
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

/** Ends with the first time that Redis takes what the copy holds by then; the sweeper goes on after the last. */
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

/** One run of the sweeper brings over so many audit entries; flags change by hand, so there are few. */
const PENDING_MAX = 100

/**
 * Brings Redis and Postgres to the same flags, the newest of each, and into Postgres the audit entries that it missed.
 * Answers how many entries and flags were brought over. Throws while either is away.
 */
export async function syncFlagStores({ db, redis, log }: Services): Promise<number> {
  let healed = 0
  for (const { text, change } of await pendingChanges(redis, PENDING_MAX)) {
    if (change === null) log.error("flag_change_invalid")
    else await saveFlagChange(db, change)
    await removePending(redis, text)
    healed += 1
  }
  const [inRedis, copy] = await Promise.all([readFlagsInRedis(redis), readFlagCopy(db)])
  const all = newest(inRedis.set, copy)
  for (const name of FLAG_NAMES) {
    const flag = inRedis.set[name]
    if (flag === undefined || !isNewerRevision(flag, copy[name])) continue
    await saveFlag(db, name, flag)
    healed += 1
  }
  const missing = FLAG_NAMES.filter((name) => all[name]?.changeId !== inRedis.set[name]?.changeId)
  if (missing.length > 0 || !inRedis.isComplete) await restoreRedisFlags(redis, all)
  return healed + missing.length
}

/** The value as JSON holds it: its own arrays, which nothing else can change. */
function copyOf(value: FlagValue): FlagChange["after"]
function copyOf(value: FlagValue | null): FlagChange["before"]
function copyOf(value: FlagValue | null): FlagChange["before"] {
  return value && { ...value, allow: [...value.allow], deny: [...value.deny] }
}
