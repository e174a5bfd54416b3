/** The phases of a launch as values of four flags, and the phase of a deployment. */

export const FLAG_NAMES = [
  "WEBHOOK_PROCESSING_ENABLED",
  "SCHEDULER_ENABLED",
  "NOTIFICATIONS_ENABLED",
  "ROLLBACK_MODE",
] as const
export type FlagName = (typeof FLAG_NAMES)[number]

/** A flag's value: while enabled it is on for a share of companies and the allow list, without the deny list. */
export interface Flag {
  readonly enabled: boolean
  readonly percentage: number
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}
export type Flags = Readonly<Record<FlagName, Flag>>

/** In the order of a launch; `rollback` is allowed from every phase. */
export const PHASES = ["dark-launch", "limited", "full", "rollback"] as const
export type Phase = (typeof PHASES)[number]

const SCHEDULER_PERCENTAGE = 20
const NOTIFICATIONS_PERCENTAGE = 10
/** A limited launch has few enough companies to watch each of them. */
export const COMPANIES_MAX = 10

const OFF: Flag = { enabled: false, percentage: 0, allow: [], deny: [] }
const ON: Flag = { enabled: true, percentage: 100, allow: [], deny: [] }

/** Off for everybody. */
const isOff = ({ enabled, percentage, allow }: Flag): boolean => !enabled || (percentage === 0 && allow.length === 0)
/** On for everybody except the deny list. */
const isOn = ({ enabled, percentage }: Flag): boolean => enabled && percentage === 100
const isShare = (flag: Flag, percentage: number): boolean =>
  flag.enabled && flag.percentage === percentage && flag.allow.length <= COMPANIES_MAX

/** A phase's requirement for one flag: the check, the target value, and a description. */
interface Rule {
  readonly isMet: (flag: Flag, flags: Flags) => boolean
  readonly make: (flag: Flag, companies: readonly string[]) => Flag
  readonly description: string
}

// Deny lists are kept in every phase; only a rollback clears them.
const on: Rule = { isMet: isOn, make: ({ deny }) => ({ ...ON, deny }), description: "on for 100 %" }
const off: Rule = { isMet: isOff, make: ({ deny }) => ({ ...OFF, deny }), description: "off" }
const share = (percentage: number, isMet: Rule["isMet"], description: string): Rule => ({
  isMet,
  make: ({ deny }, companies) => ({ enabled: true, percentage, allow: companies, deny }),
  description: `on for ${percentage} % and ${description}`,
})
const scheduledShare = share(
  SCHEDULER_PERCENTAGE,
  (flag) => isShare(flag, SCHEDULER_PERCENTAGE),
  `at most ${COMPANIES_MAX} companies`,
)
// A company must be in both allow lists to get messages.
const notifiedShare = share(
  NOTIFICATIONS_PERCENTAGE,
  (flag, { SCHEDULER_ENABLED }) =>
    isShare(flag, NOTIFICATIONS_PERCENTAGE) && isSameSet(flag.allow, SCHEDULER_ENABLED.allow),
  "the companies that the scheduler is on for by name",
)
const rollbackOn: Rule = {
  isMet: (flag) => isOn(flag) && flag.deny.length === 0,
  make: () => ON,
  description: "on for 100 %, nobody denied",
}
// Disabled with 100 %: enabling it alone must affect everybody.
const rollbackOff: Rule = { isMet: isOff, make: () => ({ ...ON, enabled: false }), description: "off" }

const RULES: Readonly<Record<Phase, Readonly<Partial<Record<FlagName, Rule>>>>> = {
  "dark-launch": {
    WEBHOOK_PROCESSING_ENABLED: on,
    SCHEDULER_ENABLED: off,
    NOTIFICATIONS_ENABLED: off,
    ROLLBACK_MODE: rollbackOff,
  },
  limited: {
    WEBHOOK_PROCESSING_ENABLED: on,
    SCHEDULER_ENABLED: scheduledShare,
    NOTIFICATIONS_ENABLED: notifiedShare,
    ROLLBACK_MODE: rollbackOff,
  },
  full: {
    WEBHOOK_PROCESSING_ENABLED: on,
    SCHEDULER_ENABLED: on,
    NOTIFICATIONS_ENABLED: on,
    ROLLBACK_MODE: rollbackOff,
  },
  rollback: { ROLLBACK_MODE: rollbackOn, SCHEDULER_ENABLED: off, NOTIFICATIONS_ENABLED: off },
}

/** A flag that does not meet a phase's requirement. */
export interface Difference {
  readonly name: FlagName
  readonly expected: string
}

/** The differences of flags from a phase; empty when they are in that phase. */
export const differences = (flags: Flags, phase: Phase): readonly Difference[] =>
  FLAG_NAMES.flatMap((name) => {
    const rule = RULES[phase][name]
    return rule === undefined || rule.isMet(flags[name], flags) ? [] : [{ name, expected: rule.description }]
  })

/**
 * The phase of flags; `initial` before the first launch; `custom` otherwise, with the differences from the nearest
 * phase.
 */
export type CurrentPhase =
  | { readonly phase: Phase | "initial" }
  | { readonly phase: "custom"; readonly nearest: Phase; readonly differences: readonly Difference[] }

/** Determines the phase from the flags alone. */
export function phaseOf(flags: Flags): CurrentPhase {
  if (FLAG_NAMES.every((name) => isOff(flags[name]))) return { phase: "initial" }
  const all = PHASES.map((phase) => ({ phase, differences: differences(flags, phase) }))
  const [nearest] = all.toSorted((a, b) => a.differences.length - b.differences.length)
  if (nearest === undefined) throw new Error("there are phases")
  if (nearest.differences.length === 0) return { phase: nearest.phase }
  return { phase: "custom", nearest: nearest.phase, differences: nearest.differences }
}

/** The target flags of a phase; flags that meet it already are unchanged. */
export function targetFlags(phase: Phase, flags: Flags, companies: readonly string[]): Flags {
  const target = { ...flags }
  for (const name of FLAG_NAMES) {
    const rule = RULES[phase][name]
    if (rule !== undefined && !rule.isMet(flags[name], flags)) target[name] = rule.make(flags[name], companies)
  }
  return target
}

/** Whether two lists have the same elements. */
export const isSameSet = (a: readonly string[], b: readonly string[]): boolean =>
  new Set(a).size === new Set(b).size && a.every((item) => b.includes(item))
