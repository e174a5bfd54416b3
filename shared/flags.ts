/**
 * Switches that work without a deploy. They lie in Redis and are remembered in the isolate: a webhook never waits for
 * them while the isolate remembers, and what has effects (`isFreshNeeded`) never acts on what is older than five seconds
 * unless Redis is away. A switch stops effects, never acceptance.
 */

import { within } from "./within.ts"

export const SWITCH_NAMES = [
  "WEBHOOK_PROCESSING_ENABLED",
  "SCHEDULER_ENABLED",
  "NOTIFICATIONS_ENABLED",
  "ROLLBACK_MODE",
] as const
export type SwitchName = (typeof SWITCH_NAMES)[number]
export type Switches = Readonly<Record<SwitchName, boolean>>

/** What somebody has set; a switch that nobody has set is absent. */
export type SetSwitches = Readonly<Partial<Record<SwitchName, boolean>>>

/** The switches, and how we know. `safe_default`: we do not know, and nobody will be notified until we do. */
export interface SwitchReading {
  readonly switches: Switches
  readonly source: "redis" | "remembered" | "safe_default"
}

/** What one isolate remembers. Values only: a promise of one request must not be awaited by another. */
export interface SwitchMemory {
  known: { readonly set: SetSwitches; readonly atMs: number } | null
  failedAtMs: number | null
  refreshingSinceMs: number | null
}

/** A memory for an isolate that has just started. */
export const newSwitchMemory = (): SwitchMemory => ({ known: null, failedAtMs: null, refreshingSinceMs: null })

/** Served as it is; a change is seen everywhere within ten seconds. */
const FRESH_MS = 5_000
/** Served while a newer one is fetched, and the longest that we go on without Redis. */
const REMEMBERED_MS = 60_000
/** After a failure Redis is left alone this long, so that not every request waits for it to fail. */
const AFTER_FAILURE_MS = 2_000
/** A refresh that has not come back by then was lost with its request. */
const REFRESH_LOST_MS = 1_000
/** A request waits for Redis this long and no longer. */
const SWITCH_READ_TIMEOUT_MS = 250

/** What to do about what is remembered. */
export type SwitchPlan = "serve" | "serve_and_refresh" | "read_now"

/** Pure: whether what is remembered will do at `nowMs`. A clock that went back makes everything old. */
export function planRead(memory: Readonly<SwitchMemory>, nowMs: number, isFreshNeeded = false): SwitchPlan {
  const { known, failedAtMs, refreshingSinceMs } = memory
  if (known && isWithin(known.atMs, nowMs, FRESH_MS)) return "serve"
  if (failedAtMs !== null && isWithin(failedAtMs, nowMs, AFTER_FAILURE_MS)) return "serve"
  const isRemembered = known !== null && isWithin(known.atMs, nowMs, REMEMBERED_MS)
  if (isFreshNeeded || !isRemembered) return "read_now"
  const isRefreshing = refreshingSinceMs !== null && isWithin(refreshingSinceMs, nowMs, REFRESH_LOST_MS)
  return isRefreshing ? "serve" : "serve_and_refresh"
}

/** Pure: the switches as far as they are remembered; null when that is too long ago. */
export function remembered(memory: Readonly<SwitchMemory>, defaults: Switches, nowMs: number): SwitchReading | null {
  const { known } = memory
  if (!known || !isWithin(known.atMs, nowMs, REMEMBERED_MS)) return null
  const source = isWithin(known.atMs, nowMs, FRESH_MS) ? "redis" : "remembered"
  return { switches: { ...defaults, ...known.set }, source }
}

/** Pure: when nothing is known. Accepting, storing and scheduling go on as configured; nobody is notified. */
export const safeDefault = (defaults: Switches): SwitchReading => ({
  switches: { ...defaults, NOTIFICATIONS_ENABLED: false },
  source: "safe_default",
})

/** What reading the switches needs. */
export interface SwitchSources {
  /** One for the life of the isolate. */
  readonly memory: SwitchMemory
  readonly defaults: Switches
  /** Reads what is set in Redis; may fail or hang. */
  readonly read: () => Promise<SetSwitches>
  readonly now: () => Date
  readonly waitUntil: (work: Promise<unknown>) => void
}

/** The switches of this moment. Never throws, and waits for Redis 250 ms at most. */
export async function readSwitches(sources: SwitchSources, isFreshNeeded = false): Promise<SwitchReading> {
  const { memory, defaults, now } = sources
  const plan = planRead(memory, now().getTime(), isFreshNeeded)
  if (plan === "read_now") await refresh(sources)
  if (plan === "serve_and_refresh") sources.waitUntil(refresh(sources))
  const reading = remembered(memory, defaults, now().getTime())
  return reading ?? safeDefault(defaults)
}

async function refresh({ memory, read, now }: SwitchSources): Promise<void> {
  memory.refreshingSinceMs = now().getTime()
  try {
    const set = await within(SWITCH_READ_TIMEOUT_MS, read())
    memory.known = { set, atMs: now().getTime() }
    memory.failedAtMs = null
  } catch {
    memory.failedAtMs = now().getTime() // the health check tells of Redis; here it only means: go on without
  } finally {
    memory.refreshingSinceMs = null
  }
}

/** The commands of Redis that switches need. */
export interface SwitchRedis {
  mget<Values extends unknown[]>(...keys: string[]): Promise<Values>
  set(key: string, value: string): Promise<unknown>
}

const keyOf = (name: SwitchName): string => `switch:${name}`

/** What is set in Redis, in one round trip. Anything but `true` and `false` counts as not set. */
export async function readSetSwitches(redis: SwitchRedis): Promise<SetSwitches> {
  const values = await redis.mget<unknown[]>(...SWITCH_NAMES.map(keyOf))
  const set: Partial<Record<SwitchName, boolean>> = {}
  for (const [index, name] of SWITCH_NAMES.entries()) {
    if (values[index] === "true" || values[index] === "false") set[name] = values[index] === "true"
  }
  return set
}

/** Sets a switch everywhere. Throws when Redis does not take it: then nothing has changed. */
export async function setSwitch(redis: SwitchRedis, name: SwitchName, value: boolean): Promise<void> {
  await redis.set(keyOf(name), String(value))
}

const isWithin = (thenMs: number, nowMs: number, windowMs: number): boolean =>
  nowMs >= thenMs && nowMs - thenMs <= windowMs
