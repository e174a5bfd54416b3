/**
 * Switches and feature flags: their names, their values, and for which companies each is on. A switch stops effects; events
 * are accepted in any case. All follow one rule, so `ROLLBACK_MODE` too can be on for some companies only, and stops
 * the effects of these. `COMPANY_CLOSED` is set by closing and opening companies, and by nothing else: it is a flag so that
 * it takes effect everywhere as fast as a switch does.
 */

export const SWITCH_NAMES = [
  "WEBHOOK_PROCESSING_ENABLED",
  "SCHEDULER_ENABLED",
  "NOTIFICATIONS_ENABLED",
  "ROLLBACK_MODE",
] as const
export type SwitchName = (typeof SWITCH_NAMES)[number]

export const FLAG_NAMES = [
  ...SWITCH_NAMES,
  "REAL_TIME_PREDICTIONS",
  "ADVANCED_SEGMENTATION",
  "AUTO_RETENTION_CAMPAIGNS",
  "STRICT_QUALITY_GATES",
  "MODEL_DRIFT_DETECTION",
  "BI_DASHBOARD_V2",
  "COMPANY_CLOSED",
] as const
export type FlagName = (typeof FLAG_NAMES)[number]

/** The value of a flag: `percentage` from 0 to 100 in steps of 0.01, and the companies for which it is always on or off. */
export interface FlagValue {
  readonly enabled: boolean
  readonly percentage: number
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}
export type FlagValues = Readonly<Record<FlagName, FlagValue>>

/** Percentages have steps of 0.01, and with 10 000 companies a bucket holds about one. */
export const BUCKETS = 10_000

export const ON: FlagValue = { enabled: true, percentage: 100, allow: [], deny: [] }
export const OFF: FlagValue = { enabled: false, percentage: 100, allow: [], deny: [] }

/** Where a deployment runs. */
export type Environment = "local" | "staging" | "production"

/** Nothing has effects before the launch (`npm run rollout -- dark-launch`): events are stored and held. */
const NOT_LAUNCHED: FlagValues = {
  WEBHOOK_PROCESSING_ENABLED: OFF,
  SCHEDULER_ENABLED: OFF,
  NOTIFICATIONS_ENABLED: OFF,
  ROLLBACK_MODE: OFF,
  REAL_TIME_PREDICTIONS: OFF,
  ADVANCED_SEGMENTATION: OFF,
  AUTO_RETENTION_CAMPAIGNS: OFF,
  STRICT_QUALITY_GATES: OFF,
  MODEL_DRIFT_DETECTION: OFF,
  BI_DASHBOARD_V2: OFF,
  COMPANY_CLOSED: OFF,
}

/** The default of each flag in each environment. On a developer's machine, processing and messages are on at once. */
export const FLAG_DEFAULTS: Readonly<Record<Environment, FlagValues>> = {
  local: {
    ...NOT_LAUNCHED,
    WEBHOOK_PROCESSING_ENABLED: ON,
    SCHEDULER_ENABLED: ON,
    NOTIFICATIONS_ENABLED: ON,
  },
  staging: NOT_LAUNCHED,
  production: NOT_LAUNCHED,
}

/** Whether a flag is on for a company, and which part of its value decides. */
export interface Evaluation {
  readonly isOn: boolean
  readonly because: "disabled" | "denied" | "allowed" | "everybody" | "nobody" | "share"
}

/** Not enabled: off; on the deny list: off; on the allow list: on; otherwise on if its bucket is within the percentage. */
export function evaluate(name: FlagName, value: FlagValue, companyId: string): Evaluation {
  if (!value.enabled) return { isOn: false, because: "disabled" }
  if (value.deny.includes(companyId)) return { isOn: false, because: "denied" }
  if (value.allow.includes(companyId)) return { isOn: true, because: "allowed" }
  if (value.percentage >= 100) return { isOn: true, because: "everybody" }
  if (value.percentage <= 0) return { isOn: false, because: "nobody" }
  return { isOn: bucketOf(name, companyId) < Math.round(value.percentage * (BUCKETS / 100)), because: "share" }
}

/** On for every company, including those added later. */
export const isOnForAll = ({ enabled, percentage, deny }: FlagValue): boolean =>
  enabled && percentage >= 100 && deny.length === 0

/** On for no company at all. */
export const isOffForAll = ({ enabled, percentage, allow, deny }: FlagValue): boolean =>
  !enabled || (percentage <= 0 && allow.every((companyId) => deny.includes(companyId)))

/**
 * The bucket of a company for a flag, 0 to 9999: MurmurHash3 (x86, 32 bits, seed 0) of `<flag>:<company id>` in UTF-8,
 * scaled to 10 000. It never changes, so a company that is in stays in while a percentage grows. Each feature has its own
 * buckets, so that the same companies are not always the first. The switches share one bucket: a nudge needs scheduler and
 * notifications, and with independent buckets of 10 % and 20 % only 2 % would have both.
 */
export const bucketOf = (name: FlagName, companyId: string): number =>
  bucketOfKey(`${isSwitch(name) ? "SWITCHES" : name}:${companyId}`)

/** The bucket of a text, 0 to 9999: its MurmurHash3 scaled. It never changes. */
export const bucketOfKey = (key: string): number => Math.floor((murmur3(key) / 2 ** 32) * BUCKETS)

const isSwitch = (name: FlagName): boolean => SWITCH_NAMES.some((switchName) => switchName === name)

/** MurmurHash3_x86_32 by Austin Appleby (public domain), of the UTF-8 bytes of a text, as an unsigned number. */
export function murmur3(text: string, seed = 0): number {
  const bytes = new TextEncoder().encode(text)
  const view = new DataView(bytes.buffer)
  const wholeBytes = bytes.length & ~3
  let hash = seed
  for (let at = 0; at < wholeBytes; at += 4) {
    hash ^= scramble(view.getUint32(at, true))
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = bytes.length - 1; at >= wholeBytes; at--) tail = (tail << 8) | (bytes[at] ?? 0)
  hash ^= scramble(tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}
