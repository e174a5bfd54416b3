/**
 * Whom to write to before they leave: where what contact is expected to save is worth more than it costs. Contact is worth
 * the drop in the probability of leaving (risk × uplift) times the margin of the months that a member stays.
 */
import type { Fact, Instant } from "../facts.ts"
import { mayHaveBeenDelivered, type Nudge } from "../recovery/nudges.ts"
import { grantsAccess } from "../scoring/features/access.ts"
import { monthlyMinor } from "../scoring/features/prices.ts"
import type { CaseState, CustomerState, SubscriptionState } from "../state.ts"

const DAY_MS = 86_400_000

/** A score of half of what opened the case says that the fear has passed; a smaller step is the noise of scores. */
export const RISK_DROP_SHARE = 0.5

export interface RiskPolicy {
  /** What is left of a payment after what serving the member costs, in percent. */
  readonly marginPercent: number
  /** How many months a member who was kept is taken to stay. */
  readonly valueMonths: number
  /** What one contact costs, with what an incentive gives away: minor units of whatever the member pays in. */
  readonly contactCostMinor: number
  /** The share of leavings that contact prevents, 0 to 1, as long as there is too little data to learn it. */
  readonly assumedUplift: number
  /** Cases opened in one day (UTC) at most, held-out ones among them. */
  readonly casesPerDay: number
  /** Who was written to within so many days, or was at risk then, is left alone. */
  readonly restDays: number
  /** A case ends after so many days: who is still there has stayed. */
  readonly periodDays: number
}

/** Careful until something is known: a tenth prevented, at a dollar a contact, and a month in which to see it. */
export const DEFAULT_RISK_POLICY: RiskPolicy = {
  marginPercent: 70,
  valueMonths: 6,
  contactCostMinor: 100,
  assumedUplift: 0.1,
  casesPerDay: 50,
  restDays: 14,
  periodDays: 30,
}

/** What is known of a customer's risk. */
export interface RiskScore {
  readonly predictionId: string
  readonly modelVersion: string
  readonly asOf: Instant
  readonly probability: number
  /** By how much contact lowers the probability, learned from treated and held-out cases; null: nobody knows yet. */
  readonly learnedUplift: number | null
}

/** Why a customer is left alone although they may leave. */
export type SkipReason =
  | "no_subscription"
  | "nothing_to_keep"
  | "case_open"
  | "opted_out"
  | "customer_deleted"
  | "at_rest"
  | "contact_drives_away"
  | "not_worth_it"

export type RiskDecision =
  | { readonly kind: "open"; readonly fact: Extract<Fact, { kind: "risk_detected" }> }
  | { readonly kind: "leave_alone"; readonly reason: SkipReason }

/** What contact is expected to bring in minor units, its cost taken off: risk × uplift × margin − cost. */
export const expectedValueMinor = (uplift: number, monthlyMinor: number, policy: RiskPolicy): number =>
  Math.floor(uplift * monthlyMinor * policy.valueMonths * (policy.marginPercent / 100) - policy.contactCostMinor)

/** The drop in the probability of leaving that contact brings: learned, or the assumed share of the risk. */
export const upliftOf = ({ learnedUplift, probability }: RiskScore, policy: RiskPolicy): number =>
  learnedUplift ?? probability * policy.assumedUplift

/** Whether to open a case for a customer now. Deciding again after the fact gives `case_open`. */
export function decideRisk(
  state: CustomerState,
  nudges: readonly Nudge[],
  score: RiskScore,
  policy: RiskPolicy,
  now: Instant,
): RiskDecision {
  const leave = (reason: SkipReason): RiskDecision => ({ kind: "leave_alone", reason })
  const subscription = highestPriced(Object.values(state.subscriptions).filter(grantsAccess))
  const monthly = subscription ? monthlyMinor(subscription) : null
  if (!subscription) return leave("no_subscription")
  if (subscription.cancelAt !== null || monthly === null || monthly <= 0) return leave("nothing_to_keep")
  if (state.profile.isDeleted) return leave("customer_deleted")
  if (state.outreach.optedOutAt !== null) return leave("opted_out")
  if (state.cases.some(({ status }) => status === "open")) return leave("case_open")

  const restSince = new Date(Date.parse(now) - policy.restDays * DAY_MS).toISOString()
  const wasWritten = nudges.some(
    (nudge) => nudge.channel !== "slack" && mayHaveBeenDelivered(nudge) && (nudge.sentAt ?? nudge.dueAt) > restSince,
  )
  const wasAtRisk = state.cases.some(({ kind, closedAt }) => kind === "at_risk" && (closedAt ?? "") > restSince)
  if (wasWritten || wasAtRisk) return leave("at_rest")

  const uplift = upliftOf(score, policy)
  if (uplift <= 0) return leave("contact_drives_away")
  const value = expectedValueMinor(uplift, monthly, policy)
  if (!(value > 0)) return leave("not_worth_it")
  const caseId = `at_risk_${subscription.id}_${now.slice(0, 10).replaceAll("-", "")}`
  // Never before what the ledger holds, though a provider's clock may be ahead of ours.
  const last = state.position?.occurredAt ?? now
  const occurredAt = last > now ? last : now
  return {
    kind: "open",
    fact: {
      kind: "risk_detected",
      id: `risk_detected:${caseId}`,
      occurredAt,
      caseId,
      subscriptionId: subscription.id,
      probability: score.probability,
      uplift,
      upliftSource: score.learnedUplift === null ? "assumed" : "learned",
      expectedValueMinor: value,
      predictionId: score.predictionId,
      modelVersion: score.modelVersion,
      asOf: score.asOf,
      until: new Date(Date.parse(now) + policy.periodDays * DAY_MS).toISOString(),
    },
  }
}

/** What ends an open case by itself; null: the fear stands. `score` is the newest one, null where nobody is scored now. */
export function riskCloseReason(
  state: CustomerState,
  recoveryCase: CaseState,
  score: { readonly probability: number; readonly asOf: Instant } | null,
  now: Instant,
): Extract<Fact, { kind: "risk_passed" }> | null {
  const { id: caseId, risk, status, openedAt } = recoveryCase
  if (status !== "open" || !risk) return null
  const hasFallen = score !== null && score.asOf > openedAt && score.probability <= risk.probability * RISK_DROP_SHARE
  const why = now >= risk.until ? "stayed" : hasFallen ? "fell" : null
  if (why === null) return null
  const last = state.position?.occurredAt ?? now
  return { kind: "risk_passed", id: `risk_passed:${caseId}`, occurredAt: last > now ? last : now, caseId, why }
}

/** The subscription that is worth most a month; the id decides a tie. */
export const highestPriced = (subscriptions: readonly SubscriptionState[]): SubscriptionState | undefined =>
  subscriptions.reduce<SubscriptionState | undefined>((best, each) => {
    if (best === undefined) return each
    const more = (monthlyMinor(each) ?? -1) - (monthlyMinor(best) ?? -1)
    return more > 0 || (more === 0 && each.id < best.id) ? each : best
  }, undefined)
