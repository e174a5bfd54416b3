/**
 * Switches and flags that work without a deploy. They lie in Redis, with a copy in Postgres, and are remembered in the
 * isolate: a webhook never waits for them while the isolate remembers; what has effects (`isFreshNeeded`) never acts on
 * what is older than five seconds while either store answers; and right before an effect (`isImmediate`) Redis is asked
 * at that moment. When nothing answers the last known value holds for a minute; then nobody is notified.
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

/** A flag as somebody set it. Of two, the one with the higher revision holds, then the one with the higher change id. */
export interface SetFlag {
  readonly value: FlagValue
  /** Milliseconds of the change, raised above every revision that was known then. */
  readonly revision: number
  readonly changeId: string
  readonly updatedAt: string
  readonly updatedBy: string
  readonly reason: string | null
}

/** What somebody has set; a flag that nobody has set is absent. */
export type SetFlags = Readonly<Partial<Record<FlagName, SetFlag>>>

/** What lies in Redis. Not `isComplete`: Redis was emptied, or holds what is none of ours, so that an absent flag says nothing. */
export interface RedisFlags {
  readonly set: SetFlags
  readonly isComplete: boolean
}

/** Whether `flag` was set after `other`. */
export const isNewerRevision = (flag: SetFlag, other: SetFlag | undefined): boolean =>
  other === undefined ||
  flag.revision > other.revision ||
  (flag.revision === other.revision && flag.changeId > other.changeId)

/** Of each flag the newest of two readings. */
export function newest(one: SetFlags, other: SetFlags): SetFlags {
  const result: Partial<Record<FlagName, SetFlag>> = { ...one }
  for (const name of FLAG_NAMES) {
    const flag = other[name]
    if (flag !== undefined && isNewerRevision(flag, result[name])) result[name] = flag
  }
  return result
}

/** How we know. `safe_default`: we do not know, and nobody is notified until we do. */
export type FlagSource = "redis" | "postgres" | "remembered" | "safe_default"

/** The flags of one moment. */
export interface Flags {
  readonly source: FlagSource
  isOn(name: FlagName, companyId: string): boolean
  /** Like `isOn`, with the part of the flag's value that settled it. */
  evaluate(name: FlagName, companyId: string): Evaluation
  /** On for every company there is or will be. */
  isOnForAll(name: FlagName): boolean
  /** On for no company at all. */
  isOffForAll(name: FlagName): boolean
  valueOf(name: FlagName): FlagValue
  /** What somebody set; null: the default holds. */
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

/** What holds while nobody has set anything: the environment's defaults, under what its variables say of the switches. */
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

/** When nothing is known: accepting, storing and folding go on as configured; nothing is scheduled and nobody notified. */
const safe = (defaults: FlagValues): FlagValues => ({
  ...defaults,
  SCHEDULER_ENABLED: OFF,
  NOTIFICATIONS_ENABLED: OFF,
})

/** What one isolate remembers. Values only: a promise of one request must not be awaited by another. */
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

/** A memory for an isolate that has just started. */
export const newFlagCache = (): FlagCache => ({
  known: null,
  redisFailedAtMs: null,
  copyFailedAtMs: null,
  refreshingSinceMs: null,
})

/** Served as it is; a change is seen everywhere within ten seconds. */
const FRESH_MS = 5_000
/** Served while a newer one is fetched, and the longest that we go on while nothing answers. */
const CACHE_TTL_MS = 60_000
/** After a failure a store is left alone this long, so that not every request waits for it to fail. */
const AFTER_FAILURE_MS = 2_000
/** A refresh that has not come back by then was lost with its request. */
const REFRESH_LOST_MS = 1_000
/** A request waits for Redis this long and no longer, and for the copy this long when Redis is away. */
const REDIS_TIMEOUT_MS = 250
const COPY_TIMEOUT_MS = 500

/** How exact a reading has to be. */
export interface FlagFreshness {
  /** None older than five seconds while either store answers: for what will have effects. */
  readonly isFreshNeeded?: boolean
  /** What Redis says at this moment: for the last look before an effect. */
  readonly isImmediate?: boolean
}

/** What to do about what is remembered. */
export type FlagPlan = "serve" | "serve_and_refresh" | "read_now"

/** Pure: whether what is remembered will do at `nowMs`. A clock that went back makes everything old. */
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

/** Pure: the flags as far as they are remembered, else the safe default. */
export function flagsFromMemory(memory: Readonly<FlagCache>, defaults: FlagValues, nowMs: number): Flags {
  const { known } = memory
  if (!known || !isWithin(known.atMs, nowMs, CACHE_TTL_MS)) return flagsOf(safe(defaults), {}, "safe_default")
  if (!known.isComplete) return flagsOf(safe(defaults), known.set, "safe_default")
  return flagsOf(defaults, known.set, isWithin(known.atMs, nowMs, FRESH_MS) ? known.source : "remembered")
}

/** What reading the flags needs. */
export interface FlagSources {
  /** One for the life of the isolate. */
  readonly memory: FlagCache
  readonly defaults: FlagValues
  /** Both may fail or hang. */
  readonly readRedis: () => Promise<RedisFlags>
  readonly readCopy: () => Promise<SetFlags>
  /** Puts into Redis what it lacks or has older. */
  readonly fillRedis: (set: SetFlags) => Promise<unknown>
  readonly now: () => Date
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** The flags of this moment. Never throws, and waits for the stores three quarters of a second at most. */
export async function readFlags(sources: FlagSources, need: FlagFreshness = {}): Promise<Flags> {
  const { memory, defaults, now } = sources
  const plan = planFlagRead(memory, now().getTime(), need)
  if (plan === "read_now") await refresh(sources)
  if (plan === "serve_and_refresh") sources.waitUntil(refresh(sources))
  return flagsFromMemory(memory, defaults, now().getTime())
}

/** What this isolate itself has just set holds in it at once. */
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

/** Redis; and where it is away, was away, or was emptied, the copy as well. What fails leaves the memory as it is. */
async function readChain(sources: FlagSources): Promise<void> {
  const { memory, now, waitUntil } = sources
  const wasRedisAway = memory.redisFailedAtMs !== null
  const redis = canAskRedis(memory, now().getTime()) ? await redisAt(sources) : null
  if (redis?.isComplete && !wasRedisAway) {
    memory.known = { set: redis.set, atMs: now().getTime(), source: "redis", isComplete: true }
    return
  }
  // What was set while Redis was away is in the copy alone.
  const copy = redis !== null || !isCopyFresh(memory, now().getTime()) ? await copyAt(sources) : null
  const nowMs = now().getTime()
  const last = memory.known && isWithin(memory.known.atMs, nowMs, CACHE_TTL_MS) ? memory.known : null
  if (copy !== null && redis !== null) {
    const set = newest(redis.set, copy)
    memory.known = { set, atMs: nowMs, source: "redis", isComplete: true }
    if (!redis.isComplete || differ(set, redis.set)) waitUntil(sources.fillRedis(set).catch(() => undefined)) // the sweeper tries again
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

/** Null: Redis does not answer. The health check tells of that; here it only means: go on without. */
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
