/**
 * Milestones: good news of a customer, told once. Decided from the state alone: what the state shows now and did not show
 * before, and what the calendar brings. What lies in the past when it becomes known is no news, and neither is what was
 * imported.
 */
import type { Fact, Instant } from "../facts.ts"
import { type CustomerState, EMPTY_STATE, type SubscriptionState } from "../state.ts"

const DAY_MS = 86_400_000

/** What becomes known later than this after it was reached is history. */
const NEWS_DAYS = 7

/**
 * Who had been a customer for longer than this when we saw a payment first has paid before, where we did not see it: a
 * month's bill, and the days that a provider tries again.
 */
const FIRST_PAYMENT_WITHIN_DAYS = 45

/** Which milestones there are. */
export interface MilestoneSettings {
  readonly firstPayment: boolean
  /** Days as a paying customer, without a break. */
  readonly tenureDays: readonly number[]
  /** How much of a meter was used in all; null: of any meter. */
  readonly usage: readonly { readonly meter: string | null; readonly total: number }[]
  /** Tell the team in Slack. */
  readonly announce: boolean
}

/** The first payment, a month, a year, and three marks of use; recorded, and announced where a company asks for it. */
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

/** One milestone of one customer; of one key there is one for good. */
export type Milestone = { readonly key: string; readonly reachedAt: Instant } & (
  | { readonly kind: "first_payment"; readonly detail: Readonly<Record<string, never>> }
  | { readonly kind: "tenure"; readonly detail: { readonly days: number } }
  | { readonly kind: "usage"; readonly detail: { readonly meter: string; readonly total: number } }
)

export type MilestoneKind = Milestone["kind"]

/** A state with what led from the state before to it. */
export interface Step {
  readonly before: CustomerState | null
  readonly state: CustomerState
  /** The state that `facts` were folded onto: that before, or where the ledger was read anew one of its beginning. */
  readonly from: CustomerState
  /** In ledger order. */
  readonly facts: readonly Fact[]
}

/** What a step brought: the first payment, and marks of use that were passed. */
export function reachedByStep(step: Step, settings: MilestoneSettings, now: Instant): Milestone[] {
  if (step.state.profile.isDeleted) return []
  const since = shifted(now, -NEWS_DAYS)
  const found = [...(settings.firstPayment ? firstPayment(step) : []), ...usageMarks(step, settings)]
  return found.filter(({ reachedAt }) => reachedAt >= since)
}

/** What the calendar brought from `since` to `now`, both inclusive. */
export function reachedByTime(
  state: CustomerState,
  settings: MilestoneSettings,
  { since, now }: { readonly since: Instant; readonly now: Instant },
): Milestone[] {
  return tenureMarks(state, settings).filter(({ reachedAt }) => reachedAt >= since && reachedAt <= now)
}

/** When the calendar will bring the next one, if nothing else happens; null: never. */
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
  const began = Object.values(state.subscriptions).flatMap((subscription) => beginningOf(subscription) ?? [])
  const isLate = began.some((start) => shifted(start, FIRST_PAYMENT_WITHIN_DAYS) < at)
  return isImported || isLate ? [] : [{ key: "first_payment", kind: "first_payment", reachedAt: at, detail: {} }]
}

const firstPaidAt = ({ payments }: CustomerState): Instant | null =>
  Object.values(payments)
    .flatMap(({ paidAt, amountMinor }) => (paidAt !== null && amountMinor > 0 ? [paidAt] : []))
    .sort()[0] ?? null

function usageMarks(step: Step, settings: MilestoneSettings): Milestone[] {
  return Object.entries(step.state.usage ?? {}).flatMap(([meter, { total }]) => {
    const earlier = usedIn(step.before ?? EMPTY_STATE, meter)
    return settings.usage.flatMap((mark): Milestone[] => {
      if ((mark.meter !== null && mark.meter !== meter) || total < mark.total || earlier >= mark.total) return []
      const reachedAt = passedAt(step.facts, meter, mark.total, usedIn(step.from, meter))
      if (reachedAt === null) return []
      const detail = { meter, total: mark.total }
      return [{ key: `usage_${meter}_${mark.total}`, kind: "usage", reachedAt, detail }]
    })
  })
}

const usedIn = ({ usage = {} }: CustomerState, meter: string): number =>
  (Object.hasOwn(usage, meter) ? usage[meter]?.total : undefined) ?? 0

/** When the sum passed the mark; null where it did not, or where an import brought it there. */
function passedAt(facts: readonly Fact[], meter: string, mark: number, from: number): Instant | null {
  let total = from
  if (total >= mark) return null
  for (const fact of facts) {
    if (fact.kind !== "usage_recorded" || fact.meter !== meter) continue
    total += fact.quantity
    if (total >= mark) return fact.origin === "history" ? null : fact.occurredAt
  }
  return null
}

function tenureMarks(state: CustomerState, { tenureDays }: MilestoneSettings): Milestone[] {
  if (state.profile.isDeleted) return []
  const began = Object.values(state.subscriptions)
    .filter(isPaying)
    .flatMap((subscription) => beginningOf(subscription) ?? [])
    .sort()[0]
  if (began === undefined) return []
  return tenureDays.map((days) => {
    return { key: `tenure_${days}`, kind: "tenure", reachedAt: shifted(began, days), detail: { days } }
  })
}

/** A paid subscription that goes on; one whose payment is being tried again does. */
const isPaying = ({ status, endedAt, hasPaid }: SubscriptionState): boolean =>
  hasPaid && endedAt === null && (status === "active" || status === "past_due")

/** When a customer began to pay for it: after the trial, if there was one. */
function beginningOf({ startedAt, trialEnd }: SubscriptionState): Instant | null {
  if (startedAt === null) return null
  return trialEnd !== null && trialEnd > startedAt ? trialEnd : startedAt
}

const shifted = (at: Instant, days: number): Instant => new Date(Date.parse(at) + days * DAY_MS).toISOString()
