/** The phases of a careful launch as settings of four flags, and which of them a deployment is in. */

export const FLAG_NAMES = [
  "WEBHOOK_PROCESSING_ENABLED",
  "SCHEDULER_ENABLED",
  "NOTIFICATIONS_ENABLED",
  "ROLLBACK_MODE",
] as const
export type FlagName = (typeof FLAG_NAMES)[number]

/** Who a flag is on for: while it is enabled, a share of companies and those allowed, without those denied. */
export interface Flag {
  readonly enabled: boolean
  readonly percentage: number
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}
export type Flags = Readonly<Record<FlagName, Flag>>

/** In the order of a launch; `rollback` is where every one of them can go. */
export const PHASES = ["dark-launch", "limited", "full", "rollback"] as const
export type Phase = (typeof PHASES)[number]

const SCHEDULER_PERCENTAGE = 20
const NOTIFICATIONS_PERCENTAGE = 10
/** A limited launch is one that a person can watch company by company. */
export const COMPANIES_MAX = 10

const OFF: Flag = { enabled: false, percentage: 0, allow: [], deny: [] }
const ON: Flag = { enabled: true, percentage: 100, allow: [], deny: [] }

/** On for nobody. */
const isOff = ({ enabled, percentage, allow }: Flag): boolean => !enabled || (percentage === 0 && allow.length === 0)
/** On for everybody but those whom an operator has denied it. */
const isOn = ({ enabled, percentage }: Flag): boolean => enabled && percentage === 100
const isShare = (flag: Flag, percentage: number): boolean =>
  flag.enabled && flag.percentage === percentage && flag.allow.length <= COMPANIES_MAX

/** What a phase asks of one flag: whether it is so, how to make it so, and how that is said. */
interface Rule {
  readonly isSo: (flag: Flag, flags: Flags) => boolean
  readonly make: (flag: Flag, companies: readonly string[]) => Flag
  readonly said: string
}

// A company that is denied something stays denied, whatever the phase; only a rollback leaves nobody out.
const on: Rule = { isSo: isOn, make: ({ deny }) => ({ ...ON, deny }), said: "on for 100 %" }
const off: Rule = { isSo: isOff, make: ({ deny }) => ({ ...OFF, deny }), said: "off" }
const share = (percentage: number, isSo: Rule["isSo"], said: string): Rule => ({
  isSo,
  make: ({ deny }, companies) => ({ enabled: true, percentage, allow: companies, deny }),
  said: `on for ${percentage} % and ${said}`,
})
const scheduledShare = share(
  SCHEDULER_PERCENTAGE,
  (flag) => isShare(flag, SCHEDULER_PERCENTAGE),
  `at most ${COMPANIES_MAX} companies`,
)
// Who is allowed by one alone gets nothing.
const notifiedShare = share(
  NOTIFICATIONS_PERCENTAGE,
  (flag, { SCHEDULER_ENABLED }) =>
    isShare(flag, NOTIFICATIONS_PERCENTAGE) && isSameSet(flag.allow, SCHEDULER_ENABLED.allow),
  "the companies that the scheduler is on for by name",
)
const rollbackOn: Rule = {
  isSo: (flag) => isOn(flag) && flag.deny.length === 0,
  make: () => ON,
  said: "on for 100 %, nobody denied",
}
// It stays prepared for everybody: whoever only flips it must not find it on for nobody.
const rollbackOff: Rule = { isSo: isOff, make: () => ({ ...ON, enabled: false }), said: "off" }

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

/** A flag that is not as a phase wants it. */
export interface Difference {
  readonly name: FlagName
  readonly expected: string
}

/** How flags differ from a phase; empty when they are that phase. */
export const differences = (flags: Flags, phase: Phase): readonly Difference[] =>
  FLAG_NAMES.flatMap((name) => {
    const rule = RULES[phase][name]
    return rule === undefined || rule.isSo(flags[name], flags) ? [] : [{ name, expected: rule.said }]
  })

/** The phase that flags are; `initial` before the first one, where nothing has been launched; `custom` for any other mixture, with how it differs from the phase that it is nearest to. */
export type CurrentPhase =
  | { readonly phase: Phase | "initial" }
  | { readonly phase: "custom"; readonly nearest: Phase; readonly differences: readonly Difference[] }

/** The phase, by the flags alone. */
export function phaseOf(flags: Flags): CurrentPhase {
  if (FLAG_NAMES.every((name) => isOff(flags[name]))) return { phase: "initial" }
  const all = PHASES.map((phase) => ({ phase, differences: differences(flags, phase) }))
  const [nearest] = all.toSorted((a, b) => a.differences.length - b.differences.length)
  if (nearest === undefined) throw new Error("there are phases")
  if (nearest.differences.length === 0) return { phase: nearest.phase }
  return { phase: "custom", nearest: nearest.phase, differences: nearest.differences }
}

/** The flags of a phase; what is so already stays as it is. */
export function targetFlags(phase: Phase, flags: Flags, companies: readonly string[]): Flags {
  const goal = { ...flags }
  for (const name of FLAG_NAMES) {
    const rule = RULES[phase][name]
    if (rule !== undefined && !rule.isSo(flags[name], flags)) goal[name] = rule.make(flags[name], companies)
  }
  return goal
}

/** Whether two lists hold the same. */
export const isSameSet = (a: readonly string[], b: readonly string[]): boolean =>
  new Set(a).size === new Set(b).size && a.every((item) => b.includes(item))
