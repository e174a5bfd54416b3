/** Relationship features: plan changes, announced cancellations, pauses, reminders, discounts. */
import type { Fact, SubscriptionSnapshot } from "../../facts.ts"
import { monthlyMinor, monthsBilled } from "./prices.ts"
import type { Features } from "./schema.ts"
import { countWithin, DAYS_OF_A_MONTH, daysSince, factsOf, type LedgerView } from "./view.ts"

/** A smaller change of price is rounding or tax, not a plan change. */
const CHANGE_MIN = 0.01
/** Yearly billing often has a discount of about two months; a lower price due to a longer interval is not a downgrade. */
const INTERVAL_DISCOUNT_MAX = 0.35
/** Reminders sent because of a score must not influence the next score. */
const SCORE_CASE_PREFIX = "at_risk_"

type Relationship = Pick<
  Features,
  | "upgrades_90d"
  | "upgrades_365d"
  | "downgrades_30d"
  | "downgrades_90d"
  | "downgrades_365d"
  | "price_change_365d"
  | "nudges_30d"
  | "nudges_90d"
  | "clicks_90d"
  | "opted_out"
  | "cancel_scheduled"
  | "withdrawn_cancellations"
  | "paused"
  | "pauses_365d"
  | "discount"
>

/** The relationship features of a customer. */
export function relationshipFeatures(view: LedgerView): Relationship {
  const changes = planChanges(view)
  const up = changes.filter(({ ratio }) => ratio > 1)
  const down = changes.filter(({ ratio }) => ratio < 1)
  const yearly = changes.filter((change) => daysSince(view, change.occurredAt) <= 365)
  const nudges = factsOf(view, "nudge_sent").filter(isNotScoreDriven)
  const clicks = factsOf(view, "link_clicked").filter(isNotScoreDriven)
  const serving = Object.values(view.state.subscriptions).filter(({ endedAt }) => endedAt === null)
  return {
    upgrades_90d: countWithin(view, up, 90),
    upgrades_365d: countWithin(view, up, 365),
    downgrades_30d: countWithin(view, down, 30),
    downgrades_90d: countWithin(view, down, 90),
    downgrades_365d: countWithin(view, down, 365),
    price_change_365d: bounded(yearly.reduce((product, { ratio }) => product * ratio, 1)),
    nudges_30d: countWithin(view, nudges, 30),
    nudges_90d: countWithin(view, nudges, 90),
    clicks_90d: countWithin(view, clicks, 90),
    opted_out: Number(factsOf(view, "opted_out").length > 0),
    cancel_scheduled: Number(serving.some(({ cancelAt }) => cancelAt !== null)),
    withdrawn_cancellations: view.state.cases.filter(
      ({ kind, status }) => kind === "cancellation" && status === "recovered",
    ).length,
    paused: Number(serving.some(({ paused }) => paused !== null)),
    pauses_365d: countWithin(view, factsOf(view, "subscription_paused"), 365),
    discount: discountOf(view),
  }
}

const isNotScoreDriven = ({ caseId }: { readonly caseId: string }): boolean => !caseId.startsWith(SCORE_CASE_PREFIX)

interface PlanChange {
  readonly occurredAt: string
  /** The new monthly price over the old one. */
  readonly ratio: number
}

/** Beyond a factor of 100 the price belongs to a different product, so ratios are capped. */
const RATIO_MAX = 100
const bounded = (ratio: number): number => Math.min(RATIO_MAX, Math.max(1 / RATIO_MAX, ratio))

/** Each change of a subscription's monthly price, from its facts in order of time. */
function planChanges(view: LedgerView): PlanChange[] {
  const snapshots: (Fact & { readonly subscription: SubscriptionSnapshot })[] = [
    ...factsOf(view, "subscription_started"),
    ...factsOf(view, "subscription_changed"),
    ...factsOf(view, "subscription_resumed"),
    ...factsOf(view, "cancellation_announced"),
  ].sort((a, b) => (a.occurredAt < b.occurredAt ? -1 : a.occurredAt > b.occurredAt ? 1 : a.id < b.id ? -1 : 1))
  const known = new Map<string, { readonly subscription: SubscriptionSnapshot; readonly price: number }>()
  const changes: PlanChange[] = []
  for (const { subscription, occurredAt } of snapshots) {
    const before = known.get(subscription.subscriptionId)
    const price = monthlyMinor(subscription)
    if (price === null) continue
    known.set(subscription.subscriptionId, { subscription, price })
    if (before === undefined || before.subscription.currency !== subscription.currency) continue
    if (before.price <= 0 || price <= 0) continue
    const ratio = price / before.price
    const [monthsBefore, months] = [monthsBilled(before.subscription) ?? 0, monthsBilled(subscription) ?? 0]
    const isLonger = months > monthsBefore
    const isShorter = months < monthsBefore
    const low = isLonger ? 1 - INTERVAL_DISCOUNT_MAX : 1 - CHANGE_MIN
    const high = isShorter ? 1 / (1 - INTERVAL_DISCOUNT_MAX) : 1 + CHANGE_MIN
    if (ratio < low || ratio > high) changes.push({ occurredAt, ratio: bounded(ratio) })
  }
  return changes
}

/** The largest discount of the incentives in effect, in percent. */
function discountOf(view: LedgerView): number {
  return factsOf(view, "incentive_applied").reduce((most, { incentive, occurredAt }) => {
    if (incentive.kind !== "discount") return most
    return daysSince(view, occurredAt) <= incentive.months * DAYS_OF_A_MONTH
      ? Math.max(most, incentive.percentOff)
      : most
  }, 0)
}
