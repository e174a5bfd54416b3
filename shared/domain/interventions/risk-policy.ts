/**
 * Which members to contact before they leave: those for whom the expected value of contact exceeds its cost. The value is the
 * drop in the probability of leaving (risk × uplift) times the margin of the months that a member stays.
 */
import { type Fact, type Instant, laterOf } from "../facts.ts"
import { mayHaveBeenDelivered, type Nudge } from "../recovery/nudges/nudges.ts"
import { grantsAccess } from "../scoring/features/access.ts"
import { monthlyMinor } from "../scoring/features/prices.ts"
import type { CaseState, CustomerState, SubscriptionState } from "../state.ts"

const DAY_MS = 86_400_000

/** At half of the score that opened a case the risk is no longer current; a smaller drop is noise. */
export const RISK_DROP_SHARE = 0.5

export interface RiskPolicy {
  /** The margin of a payment after the cost of serving the member, in percent. */
  readonly marginPercent: number
  /** How many months a retained member is assumed to stay. */
  readonly valueMonths: number
  /** The cost of one contact, including the incentive: minor units of the member's currency. */
  readonly contactCostMinor: number
  /** The share of cancellations that contact prevents, 0 to 1, while there is too little data for an uplift model. */
  readonly assumedUplift: number
  /** The most cases opened per day (UTC), including held-out ones. */
  readonly casesPerDay: number
  /** A member with a message or an at-risk case within this many days is skipped. */
  readonly restDays: number
  /** A case closes after this many days; a member who is still there has stayed. */
  readonly periodDays: number
}

/** Conservative defaults without data: a tenth prevented, a dollar per contact, and a month to observe the outcome. */
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
  /** By how much contact lowers the probability, learned from treated and held-out cases; null: not known yet. */
  readonly learnedUplift: number | null
}

/** Why no case is opened for a customer. */
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
  | { readonly kind: "skip"; readonly reason: SkipReason }

/** The expected value of contact in minor units: risk × uplift × margin − cost. */
export const expectedValueMinor = (uplift: number, monthlyMinor: number, policy: RiskPolicy): number =>
  Math.floor(uplift * monthlyMinor * policy.valueMonths * (policy.marginPercent / 100) - policy.contactCostMinor)

/** By how much contact lowers the probability of leaving: learned, or the assumed share of the risk. */
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
  const skip = (reason: SkipReason): RiskDecision => ({ kind: "skip", reason })
  const subscription = highestPriced(Object.values(state.subscriptions).filter(grantsAccess))
  if (!subscription) return skip("no_subscription")
  const monthly = monthlyMinor(subscription) ?? 0
  if (subscription.cancelAt !== null || monthly <= 0) return skip("nothing_to_keep")
  if (state.profile.isDeleted) return skip("customer_deleted")
  if (state.outreach.optedOutAt !== null) return skip("opted_out")
  if (state.cases.some(({ status }) => status === "open")) return skip("case_open")

  const restSince = new Date(Date.parse(now) - policy.restDays * DAY_MS).toISOString()
  const wasContacted = nudges.some(
    (nudge) => nudge.channel !== "slack" && mayHaveBeenDelivered(nudge) && (nudge.sentAt ?? nudge.dueAt) > restSince,
  )
  const wasAtRisk = state.cases.some(({ kind, closedAt }) => kind === "at_risk" && (closedAt ?? "") > restSince)
  if (wasContacted || wasAtRisk) return skip("at_rest")

  const uplift = upliftOf(score, policy)
  if (uplift <= 0) return skip("contact_drives_away")
  const value = expectedValueMinor(uplift, monthly, policy)
  if (!(value > 0)) return skip("not_worth_it")
  const caseId = `at_risk_${subscription.id}_${now.slice(0, 10).replaceAll("-", "")}`
  return {
    kind: "open",
    fact: {
      kind: "risk_detected",
      id: `risk_detected:${caseId}`,
      occurredAt: afterLedger(state, now),
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

/** The fact that closes an at-risk case; null: it stays open. `score` is the customer's newest one, null without a score. */
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
  return { kind: "risk_passed", id: `risk_passed:${caseId}`, occurredAt: afterLedger(state, now), caseId, why }
}

/** Now, but never before the last fact of the ledger: a provider's clock may be ahead of ours. */
const afterLedger = ({ position }: CustomerState, now: Instant): Instant => laterOf(position?.occurredAt ?? now, now)

/** The subscription with the highest monthly price; ties are resolved by id. */
export const highestPriced = (subscriptions: readonly SubscriptionState[]): SubscriptionState | undefined =>
  subscriptions.reduce<SubscriptionState | undefined>((best, each) => {
    if (best === undefined) return each
    const more = (monthlyMinor(each) ?? -1) - (monthlyMinor(best) ?? -1)
    return more > 0 || (more === 0 && each.id < best.id) ? each : best
  }, undefined)
