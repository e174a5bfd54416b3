/**
 * Switches and flags that change without a deploy. They are stored in Redis, with a copy in Postgres, and cached in the
 * isolate: a webhook never waits for them while the cache is valid; work with effects (`isFreshNeeded`) never uses
 * values older than five seconds while either store answers; and right before an effect (`isImmediate`) Redis is read.
 * When no store answers the last known value is used for a minute; then nobody is notified.
 */
import {
  type Environment,
  type Evaluation,
  evaluate,
  FLAG_DEFAULTS,
  FLAG_NAMES,
  type FlagName,
  type FlagValue,
  type FlagValues,
  isOffForAll,
  isOnForAll,
  OFF,
  ON,
  SWITCH_NAMES,
  type SwitchName,
} from "../domain/flags.ts"
import { withTimeout } from "../network/with-timeout.ts"

/** A flag that was set. Of two values the one with the higher revision wins, then the one with the higher change id. */
export interface SetFlag {
  readonly value: FlagValue
  /** The time of the change in milliseconds, raised above every revision known at that time. */
  readonly revision: number
  readonly changeId: string
  readonly updatedAt: string
  readonly updatedBy: string
  readonly reason: string | null
}

/** The flags that were set; others are absent. */
export type SetFlags = Readonly<Partial<Record<FlagName, SetFlag>>>

/**
 * The flags in Redis. Not `isComplete`: Redis was emptied or has invalid values, so an absent flag may have been set.
 */
export interface RedisFlags {
  readonly set: SetFlags
  readonly isComplete: boolean
}

/** Whether `flag` was set after `other`. */
export const isNewerRevision = (flag: SetFlag, other: SetFlag | undefined): boolean =>
  other === undefined ||
  flag.revision > other.revision ||
  (flag.revision === other.revision && flag.changeId > other.changeId)

/** The newest value of each flag from two stores. */
export function newest(one: SetFlags, other: SetFlags): SetFlags {
  const result: Partial<Record<FlagName, SetFlag>> = { ...one }
  for (const name of FLAG_NAMES) {
    const flag = other[name]
    if (flag !== undefined && isNewerRevision(flag, result[name])) result[name] = flag
  }
  return result
}

/** Where the values come from. `safe_default`: they are unknown, and nobody is notified until they are known. */
export type FlagSource = "redis" | "postgres" | "remembered" | "safe_default"

/** The flags at one time. */
export interface Flags {
  readonly source: FlagSource
  isOn(name: FlagName, companyId: string): boolean
  /** Like `isOn`, with the part of the flag's value that decided. */
  evaluate(name: FlagName, companyId: string): Evaluation
  /** On for every present and future company. */
  isOnForAll(name: FlagName): boolean
  /** Off for every company. */
  isOffForAll(name: FlagName): boolean
  valueOf(name: FlagName): FlagValue
  /** The flag as set; null: the default applies. */
  setOf(name: FlagName): SetFlag | null
}

function flagsOf(base: FlagValues, set: SetFlags, source: FlagSource): Flags {
  const valueNow = (name: FlagName) => set[name]?.value ?? base[name]
  return {
    source,
    isOn: (name, companyId) => evaluate(name, valueNow(name), companyId).isOn,
    evaluate: (name, companyId) => evaluate(name, valueNow(name), companyId),
    isOnForAll: (name) => isOnForAll(valueNow(name)),
    isOffForAll: (name) => isOffForAll(valueNow(name)),
    valueOf: valueNow,
    setOf: (name) => set[name] ?? null,
  }
}

/** The values of flags that are not set: the switches' variables, else the environment's defaults. */
export function flagDefaults(
  environment: Environment,
  switches: Readonly<Partial<Record<SwitchName, boolean | undefined>>>,
): FlagValues {
  const configured = SWITCH_NAMES.flatMap((name) => {
    const isOn = switches[name]
    return isOn === undefined ? [] : [[name, isOn ? ON : OFF] as const]
  })
  return { ...FLAG_DEFAULTS[environment], ...Object.fromEntries(configured) }
}

/**
 * While values are unknown: webhooks are accepted and processed as configured; nothing is scheduled, nobody notified.
 */
const safe = (defaults: FlagValues): FlagValues => ({
  ...defaults,
  SCHEDULER_ENABLED: OFF,
  NOTIFICATIONS_ENABLED: OFF,
})

/** The cache of one isolate. Values only: no request may await a promise of another. */
export interface FlagCache {
  known: {
    readonly set: SetFlags
    readonly atMs: number
    readonly source: "redis" | "postgres"
    readonly isComplete: boolean
  } | null
  redisFailedAtMs: number | null
  copyFailedAtMs: number | null
  refreshingSinceMs: number | null
}

/** An empty cache. */
export const newFlagCache = (): FlagCache => ({
  known: null,
  redisFailedAtMs: null,
  copyFailedAtMs: null,
  refreshingSinceMs: null,
})

/** Served without a read; a change takes effect everywhere within ten seconds. */
const FRESH_MS = 5_000
/** Served while a newer value is read, and the longest time that a value is used while no store answers. */
const CACHE_TTL_MS = 60_000
/** After a failure a store is not read for this long, so that not every request waits for a time-out. */
const AFTER_FAILURE_MS = 2_000
/** A refresh that has not ended by then was lost with its request. */
const REFRESH_LOST_MS = 1_000
/** The longest that a request waits for Redis, and for the copy while Redis is unavailable. */
const REDIS_TIMEOUT_MS = 250
const COPY_TIMEOUT_MS = 500

/** The freshness that a caller needs. */
export interface FlagFreshness {
  /** At most five seconds old while either store answers: for work with effects. */
  readonly isFreshNeeded?: boolean
  /** Read from Redis now: for the last check before an effect. */
  readonly isImmediate?: boolean
}

/** How to use the cache. */
export type FlagPlan = "serve" | "serve_and_refresh" | "read_now"

/** Pure: whether the cached values can be used at `nowMs`. If the clock went back, they are expired. */
export function planFlagRead(memory: Readonly<FlagCache>, nowMs: number, need: FlagFreshness = {}): FlagPlan {
  const { known, refreshingSinceMs } = memory
  const isFresh = known?.isComplete === true && isWithin(known.atMs, nowMs, FRESH_MS)
  if (need.isImmediate && canAskRedis(memory, nowMs)) return "read_now"
  if (isFresh) return "serve"
  if (!canAskRedis(memory, nowMs) && !canAskCopy(memory, nowMs)) return "serve"
  const isRemembered = known !== null && isWithin(known.atMs, nowMs, CACHE_TTL_MS)
  if (need.isFreshNeeded || need.isImmediate || !isRemembered) return "read_now"
  const isRefreshing = refreshingSinceMs !== null && isWithin(refreshingSinceMs, nowMs, REFRESH_LOST_MS)
  return isRefreshing ? "serve" : "serve_and_refresh"
}

const canAskRedis = ({ redisFailedAtMs: failed }: Readonly<FlagCache>, nowMs: number): boolean =>
  failed === null || !isWithin(failed, nowMs, AFTER_FAILURE_MS)

const canAskCopy = ({ copyFailedAtMs: failed }: Readonly<FlagCache>, nowMs: number): boolean =>
  failed === null || !isWithin(failed, nowMs, AFTER_FAILURE_MS)

/** Pure: the cached flags, else the safe default. */
export function flagsFromMemory(memory: Readonly<FlagCache>, defaults: FlagValues, nowMs: number): Flags {
  const { known } = memory
  if (!known || !isWithin(known.atMs, nowMs, CACHE_TTL_MS)) return flagsOf(safe(defaults), {}, "safe_default")
  if (!known.isComplete) return flagsOf(safe(defaults), known.set, "safe_default")
  return flagsOf(defaults, known.set, isWithin(known.atMs, nowMs, FRESH_MS) ? known.source : "remembered")
}

/** What reading the flags needs. */
export interface FlagSources {
  /** One per isolate. */
  readonly memory: FlagCache
  readonly defaults: FlagValues
  /** Both may fail or hang. */
  readonly readRedis: () => Promise<RedisFlags>
  readonly readCopy: () => Promise<SetFlags>
  /** Writes the flags that Redis lacks or has older. */
  readonly fillRedis: (set: SetFlags) => Promise<unknown>
  readonly now: () => Date
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** The current flags. Never throws, and waits for the stores three quarters of a second at most. */
export async function readFlags(sources: FlagSources, need: FlagFreshness = {}): Promise<Flags> {
  const { memory, defaults, now } = sources
  const plan = planFlagRead(memory, now().getTime(), need)
  if (plan === "read_now") await refresh(sources)
  if (plan === "serve_and_refresh") sources.waitUntil(refresh(sources))
  return flagsFromMemory(memory, defaults, now().getTime())
}

/** A change by this isolate takes effect in it at once. */
export function rememberFlagChange(memory: FlagCache, name: FlagName, flag: SetFlag): void {
  const { known } = memory
  if (known && isNewerRevision(flag, known.set[name])) memory.known = { ...known, set: { ...known.set, [name]: flag } }
}

async function refresh(sources: FlagSources): Promise<void> {
  const { memory, now } = sources
  memory.refreshingSinceMs = now().getTime()
  try {
    await readChain(sources)
  } finally {
    memory.refreshingSinceMs = null
  }
}

/** Reads Redis; if it is or was unavailable, or was emptied, also the copy. A failure leaves the cache unchanged. */
async function readChain(sources: FlagSources): Promise<void> {
  const { memory, now, waitUntil } = sources
  const wasRedisUnavailable = memory.redisFailedAtMs !== null
  const redis = canAskRedis(memory, now().getTime()) ? await redisAt(sources) : null
  if (redis?.isComplete && !wasRedisUnavailable) {
    memory.known = { set: redis.set, atMs: now().getTime(), source: "redis", isComplete: true }
    return
  }
  // Changes made while Redis was unavailable are only in the copy.
  const copy = redis !== null || !isCopyFresh(memory, now().getTime()) ? await copyAt(sources) : null
  const nowMs = now().getTime()
  const last = memory.known && isWithin(memory.known.atMs, nowMs, CACHE_TTL_MS) ? memory.known : null
  if (copy !== null && redis !== null) {
    const set = newest(redis.set, copy)
    memory.known = { set, atMs: nowMs, source: "redis", isComplete: true }
    if (!redis.isComplete || differ(set, redis.set)) waitUntil(sources.fillRedis(set).catch(() => undefined)) // the sweep retries
  } else if (copy !== null) {
    memory.known = { set: newest(last?.set ?? {}, copy), atMs: nowMs, source: "postgres", isComplete: true }
  } else if (redis?.isComplete) {
    memory.known = { set: redis.set, atMs: nowMs, source: "redis", isComplete: true }
  } else if (redis !== null) {
    memory.known = last
      ? { ...last, set: newest(last.set, redis.set) }
      : { set: redis.set, atMs: nowMs, source: "redis", isComplete: false }
  }
}

const isCopyFresh = ({ known }: Readonly<FlagCache>, nowMs: number): boolean =>
  known?.source === "postgres" && isWithin(known.atMs, nowMs, FRESH_MS)

const differ = (one: SetFlags, other: SetFlags): boolean =>
  FLAG_NAMES.some((name) => one[name]?.changeId !== other[name]?.changeId)

/** Null when Redis does not answer; the health check reports it. */
async function redisAt({ memory, readRedis, now }: FlagSources): Promise<RedisFlags | null> {
  try {
    const redis = await withTimeout(REDIS_TIMEOUT_MS, readRedis())
    memory.redisFailedAtMs = null
    return redis
  } catch {
    memory.redisFailedAtMs = now().getTime()
    return null
  }
}

async function copyAt({ memory, readCopy, now }: FlagSources): Promise<SetFlags | null> {
  if (!canAskCopy(memory, now().getTime())) return null
  try {
    const copy = await withTimeout(COPY_TIMEOUT_MS, readCopy())
    memory.copyFailedAtMs = null
    return copy
  } catch {
    memory.copyFailedAtMs = now().getTime()
    return null
  }
}

const isWithin = (thenMs: number, nowMs: number, windowMs: number): boolean =>
  nowMs >= thenMs && nowMs - thenMs <= windowMs
