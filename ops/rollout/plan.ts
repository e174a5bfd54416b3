/** Plans a change of phase: changes in an order that is safe at every point, or a refusal with its reasons. */

import { type DeploymentMetrics, type Gate, gatesOf } from "./gates.ts"
import {
  COMPANIES_MAX,
  FLAG_NAMES,
  type Flag,
  type FlagName,
  type Flags,
  isSameSet,
  type Phase,
  phaseOf,
  targetFlags,
} from "./phases.ts"

export interface Change {
  readonly name: FlagName
  readonly to: Flag
}

export interface Plan {
  readonly gates: readonly Gate[]
  /** Empty without refusals: the deployment is in the phase already. */
  readonly changes: readonly Change[]
  /** Why nothing is changed; empty when the change is allowed. */
  readonly refused: readonly string[]
}

/** A phase with gates can be entered only from the one before it. */
const COMES_FROM: Readonly<Partial<Record<Phase, Phase>>> = { limited: "dark-launch", full: "limited" }

const COMPANY_ID = /^[A-Za-z0-9_-]{1,64}$/

/** Plans the change to `target`. Without metrics (null) no gate can be evaluated, and none passes. */
export function planPhase(
  target: Phase,
  flags: Flags,
  figures: DeploymentMetrics | null,
  companies: readonly string[] = [],
): Plan {
  const gates = figures === null ? [] : gatesOf(figures)
  const goal = targetFlags(target, flags, companies)
  const isThere = phaseOf(flags).phase === target
  const wrongCompanies = companiesFault(target, companies)
  if (wrongCompanies.length > 0) return { gates, changes: [], refused: wrongCompanies }
  if (isThere && (target !== "limited" || isSameSet(flags.NOTIFICATIONS_ENABLED.allow, companies))) {
    return { gates, changes: [], refused: [] }
  }
  const refused = [...phaseOrderErrors(target, flags), ...(COMES_FROM[target] ? gateFaults(figures, gates) : [])]
  return { gates, changes: refused.length > 0 ? [] : orderSafely(flags, goal), refused }
}

function companiesFault(target: Phase, companies: readonly string[]): readonly string[] {
  if (target !== "limited") return companies.length === 0 ? [] : ["companies are named for limited only"]
  const invalid = companies.filter((id) => !COMPANY_ID.test(id))
  return [
    ...(companies.length > COMPANIES_MAX
      ? [`${companies.length} companies are named; at most ${COMPANIES_MAX} may be`]
      : []),
    ...invalid.map((id) => `${JSON.stringify(id)} is not the id of a company`),
  ]
}

function phaseOrderErrors(target: Phase, flags: Flags): readonly string[] {
  const before = COMES_FROM[target]
  const { phase } = phaseOf(flags)
  if (before === undefined || phase === before) return []
  const now = phase === target ? `${target} with other companies` : phase
  return [`${target} follows ${before} only; the deployment is in ${now}`]
}

function gateFaults(figures: DeploymentMetrics | null, gates: readonly Gate[]): readonly string[] {
  if (figures === null) return ["the metrics cannot be read, so no gate can be evaluated"]
  if (figures.isPartial)
    return ["the metrics are of one isolate alone (Redis is unavailable), so no gate can be evaluated"]
  return gates.filter(({ isKept }) => !isKept).map(({ name, value, wanted }) => `${name} is ${value}, wanted ${wanted}`)
}

/** From the strongest restriction to the weakest: set in this order, lifted in the reverse order. */
const RESTRICTING_FLAGS: readonly FlagName[] = [
  "ROLLBACK_MODE",
  "NOTIFICATIONS_ENABLED",
  "SCHEDULER_ENABLED",
  "WEBHOOK_PROCESSING_ENABLED",
]

/**
 * The changes from one set of flags to another, so that at no point more is enabled than before or after all of them:
 * first all restrictions, then all others.
 */
export function orderSafely(from: Flags, to: Flags): readonly Change[] {
  const changed = FLAG_NAMES.filter((name) => !isSame(from[name], to[name]))
  const loosens = (name: FlagName): boolean =>
    name === "ROLLBACK_MODE" ? isWider(from[name], to[name]) : isWider(to[name], from[name])
  const restrictions = RESTRICTING_FLAGS.filter((name) => changed.includes(name) && !loosens(name))
  const releases = RESTRICTING_FLAGS.toReversed().filter((name) => changed.includes(name) && loosens(name))
  return [...restrictions, ...releases].map((name) => ({ name, to: to[name] }))
}

/** Whether `a` may be on for somebody for whom `b` is not. */
function isWider(a: Flag, b: Flag): boolean {
  if (!a.enabled || (a.percentage === 0 && a.allow.length === 0)) return false
  if (!b.enabled) return true
  return (
    a.percentage > b.percentage ||
    (b.percentage < 100 && a.allow.some((id) => !b.allow.includes(id))) ||
    b.deny.some((id) => !a.deny.includes(id))
  )
}

const isSame = (a: Flag, b: Flag): boolean =>
  a.enabled === b.enabled && a.percentage === b.percentage && isSameSet(a.allow, b.allow) && isSameSet(a.deny, b.deny)
