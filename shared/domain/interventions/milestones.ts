/**
 * Milestones: positive events of a customer, reported once. They follow from the state alone: from what it contains now and
 * did not contain before, and from dates. What was reached long before it becomes known, or was imported, does not count.
 */
import type { Fact, Instant } from "../facts.ts"
import { type CustomerState, EMPTY_STATE, payingSince, type SubscriptionState, usedOf } from "../state.ts"

const DAY_MS = 86_400_000

/** A milestone that becomes known later than this is history. */
const NEWS_DAYS = 7

/**
 * A customer who started earlier than this before the first payment we see has paid before without our knowledge. Covers a
 * monthly invoice and the days of a provider's retries.
 */
const FIRST_PAYMENT_WITHIN_DAYS = 45

/** Which milestones a company has. */
export interface MilestoneSettings {
  readonly firstPayment: boolean
  /** Days as a paying customer, without a break. */
  readonly tenureDays: readonly number[]
  /** Total usage of a meter; `meter` null: of any meter. */
  readonly usage: readonly { readonly meter: string | null; readonly total: number }[]
  /** Announce milestones to the team in Slack. */
  readonly announce: boolean
}

/** The first payment, a month, a year, and three usage totals; recorded, and announced if the company enables it. */
export const DEFAULT_MILESTONES: MilestoneSettings = {
  firstPayment: true,
  tenureDays: [30, 365],
  usage: [
    { meter: null, total: 100 },
    { meter: null, total: 1_000 },
    { meter: null, total: 10_000 },
  ],
  announce: false,
}

/** One milestone of one customer; each key occurs at most once per customer. */
export type Milestone = { readonly key: string; readonly reachedAt: Instant } & (
  | { readonly kind: "first_payment"; readonly detail: Readonly<Record<string, never>> }
  | { readonly kind: "tenure"; readonly detail: { readonly days: number } }
  | { readonly kind: "usage"; readonly detail: { readonly meter: string; readonly total: number } }
)

export type MilestoneKind = Milestone["kind"]

/** A change of state with its facts. */
export interface Step {
  readonly before: CustomerState | null
  readonly state: CustomerState
  /** The state that `facts` were folded onto: the previous one, or an earlier one if the ledger was read again. */
  readonly from: CustomerState
  /** In ledger order. */
  readonly facts: readonly Fact[]
}

/** The milestones reached by a step: the first payment and usage totals. */
export function reachedByStep(step: Step, settings: MilestoneSettings, now: Instant): Milestone[] {
  if (step.state.profile.isDeleted) return []
  const since = shifted(now, -NEWS_DAYS)
  const found = [...(settings.firstPayment ? firstPayment(step) : []), ...usageMilestones(step, settings)]
  return found.filter(({ reachedAt }) => reachedAt >= since)
}

/** The milestones reached by date from `since` to `now`, both inclusive. */
export function reachedByTime(
  state: CustomerState,
  settings: MilestoneSettings,
  { since, now }: { readonly since: Instant; readonly now: Instant },
): Milestone[] {
  return tenureMarks(state, settings).filter(({ reachedAt }) => reachedAt >= since && reachedAt <= now)
}

/** When the next milestone will be reached by date if the state does not change; null: never. */
export function nextMilestoneAt(state: CustomerState, settings: MilestoneSettings, now: Instant): Instant | null {
  const times = tenureMarks(state, settings).map(({ reachedAt }) => reachedAt)
  return times.filter((at) => at > now).sort()[0] ?? null
}

function firstPayment({ before, from, state, facts }: Step): Milestone[] {
  const at = firstPaidAt(state)
  if (at === null || [before ?? EMPTY_STATE, from].some((earlier) => firstPaidAt(earlier) !== null)) return []
  const isImported = facts.some(
    (fact) => fact.kind === "payment_succeeded" && fact.occurredAt === at && fact.origin === "history",
  )
  const began = Object.values(state.subscriptions).flatMap((subscription) => payingSince(subscription) ?? [])
  const isLate = began.some((start) => shifted(start, FIRST_PAYMENT_WITHIN_DAYS) < at)
  return isImported || isLate ? [] : [{ key: "first_payment", kind: "first_payment", reachedAt: at, detail: {} }]
}

const firstPaidAt = ({ payments }: CustomerState): Instant | null =>
  Object.values(payments)
    .flatMap(({ paidAt, amountMinor }) => (paidAt !== null && amountMinor > 0 ? [paidAt] : []))
    .sort()[0] ?? null

function usageMilestones(step: Step, settings: MilestoneSettings): Milestone[] {
  return Object.entries(step.state.usage ?? {}).flatMap(([meter, { total }]) => {
    const earlier = usedOf(step.before ?? EMPTY_STATE, meter)
    return settings.usage.flatMap((goal): Milestone[] => {
      if ((goal.meter !== null && goal.meter !== meter) || total < goal.total || earlier >= goal.total) return []
      const reachedAt = goalReachedAt(step.facts, meter, goal.total, usedOf(step.from, meter))
      if (reachedAt === null) return []
      const detail = { meter, total: goal.total }
      return [{ key: `usage_${meter}_${goal.total}`, kind: "usage", reachedAt, detail }]
    })
  })
}

/** When the total reached the goal; null if it did not, or if an imported fact did. */
function goalReachedAt(facts: readonly Fact[], meter: string, goal: number, from: number): Instant | null {
  let total = from
  if (total >= goal) return null
  for (const fact of facts) {
    if (fact.kind !== "usage_recorded" || fact.meter !== meter) continue
    total += fact.quantity
    if (total >= goal) return fact.origin === "history" ? null : fact.occurredAt
  }
  return null
}

function tenureMarks(state: CustomerState, { tenureDays }: MilestoneSettings): Milestone[] {
  if (state.profile.isDeleted) return []
  const began = Object.values(state.subscriptions)
    .filter(isPaying)
    .flatMap((subscription) => payingSince(subscription) ?? [])
    .sort()[0]
  if (began === undefined) return []
  return tenureDays.map((days) => {
    return { key: `tenure_${days}`, kind: "tenure", reachedAt: shifted(began, days), detail: { days } }
  })
}

/** A paid subscription that continues, including one whose payment is being retried. */
const isPaying = ({ status, hasPaid }: SubscriptionState): boolean =>
  hasPaid && (status === "active" || status === "past_due")

const shifted = (at: Instant, days: number): Instant => new Date(Date.parse(at) + days * DAY_MS).toISOString()
