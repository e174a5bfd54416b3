/** Tenure features: time as a paying customer, billing interval, renewal. */
import type { SubscriptionState } from "../../state.ts"
import { grantsAccess } from "./access.ts"
import { monthlyMinor, monthsBilled } from "./prices.ts"
import type { Features } from "./schema.ts"
import { DAYS_OF_A_MONTH, daysSince, type LedgerView } from "./view.ts"

/** A renewal whose invoice is late by at most this is still due. */
const RENEWAL_LATE_DAYS = 3
/** An invoice for longer than this is that of a long plan. */
const LONG_MONTHS_MIN = 1.5
/** A renewal within this time falls into the prediction horizon. */
const RENEWAL_DUE_DAYS = 30

type Tenure = Pick<
  Features,
  "tenure_days" | "interval" | "days_to_renewal" | "long_renewal_due" | "long_plan" | "on_trial" | "returns"
>

/** The tenure features of a customer; all but `returns` and `on_trial` are null without a known subscription. */
export function tenureFeatures(view: LedgerView): Tenure {
  const main = mainSubscription(view)
  const months = main ? monthsBilled(main) : null
  const toRenewal = main ? daysToRenewal(view, main, months) : null
  const isLong = (months ?? 0) > LONG_MONTHS_MIN
  const isDue = toRenewal !== null && toRenewal < RENEWAL_DUE_DAYS
  const period = view.periods.at(-1)
  const returns = view.periods.length - (period?.to === null ? 1 : 0)
  return {
    tenure_days: period ? daysSince(view, period.from) : null,
    interval: months === null ? null : intervalOf(months),
    days_to_renewal: toRenewal,
    long_renewal_due: months === null ? null : Number(isLong && isDue),
    long_plan: months === null ? null : Number(isLong && !isDue),
    on_trial: Number(Object.values(view.state.subscriptions).some((each) => each.status === "trialing")),
    returns: Math.max(0, returns),
  }
}

/** The main subscription: one with access first, then the highest price, then the newest; ties are resolved by id. */
export function mainSubscription({ state }: LedgerView): SubscriptionState | undefined {
  return Object.values(state.subscriptions).reduce<SubscriptionState | undefined>(
    (best, each) => (best === undefined || isBefore(each, best) ? each : best),
    undefined,
  )
}

function isBefore(a: SubscriptionState, b: SubscriptionState): boolean {
  const serves = Number(grantsAccess(a)) - Number(grantsAccess(b))
  const lead = serves || (monthlyMinor(a) ?? -1) - (monthlyMinor(b) ?? -1)
  if (lead !== 0) return lead > 0
  const [startA, startB] = [a.startedAt ?? "", b.startedAt ?? ""]
  return startA === startB ? a.id < b.id : startA > startB
}

function intervalOf(months: number): Features["interval"] {
  if (months < 0.9) return "shorter"
  if (months <= 2) return "month"
  if (months <= 4) return "quarter"
  if (months <= 8) return "half_year"
  return months <= 14 ? "year" : "longer"
}

/** Days to the end of the period. A period that ended without a reported renewal is assumed to have repeated. */
function daysToRenewal(
  view: LedgerView,
  { currentPeriodEnd, startedAt }: SubscriptionState,
  months: number | null,
): number | null {
  const anchor = currentPeriodEnd ?? startedAt
  if (anchor === null) return null
  // A subtraction from 0, because negation would turn 0 into -0, which JSON cannot represent.
  const days = 0 - daysSince(view, anchor)
  if (days >= 0) return days
  if (currentPeriodEnd !== null && days >= -RENEWAL_LATE_DAYS) return 0
  if (months === null) return null
  const period = months * DAYS_OF_A_MONTH
  return Math.ceil(-days / period) * period + days
}
