/**
 * What is recorded about a nudge: that it is suppressed, postponed, or how sending it ended. Each is one change of the nudge
 * with the facts that report it, for one commit.
 */

import type { Fact, Instant, NudgeRef, SentWith, SuppressionReason } from "../../facts.ts"
import type { CompanySettings } from "../../settings.ts"
import type { CustomerState } from "../../state.ts"
import { fallbackFor, type ReachableChannels, retryAt } from "../decide.ts"
import { fold } from "../fold.ts"
import type { Nudge } from "./nudges.ts"

/**
 * How a send ended.
 * `refused`: not sent, and a retry will not help (bad address, blocked): stop using this channel.
 * `retry`: not sent, a retry may succeed; `retryAfterMs` when the service stated a delay.
 * `unknown`: it may have been sent (time-out, lost reply): never sent again, because none of these channels guarantees
 * idempotency.
 */
export type SendOutcome =
  | ({ readonly kind: "sent"; readonly providerMessageId: string | null } & SentWith)
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "retry"; readonly reason: string; readonly retryAfterMs: number | null }
  | { readonly kind: "unknown"; readonly reason: string }

/** The outcome of a send, or no send because effects were switched off after the nudge was claimed. */
export type Attempt = SendOutcome | { readonly kind: "switched_off" }

export type NudgeOutcome = "sent" | "suppressed" | "deferred" | "retry" | "failed" | "unknown" | "switched_off"

/** One change of one nudge. */
export interface NudgePlan {
  readonly outcome: NudgeOutcome
  readonly change: Partial<Pick<Nudge, "status" | "reason" | "dueAt" | "attempts" | "sentAt">>
  readonly facts: readonly Fact[]
  /** The same step on another channel, planned because this one failed finally. */
  readonly fallback: Nudge | null
  /** This nudge after the change, if it is to be sent later. */
  readonly postponed: Nudge | null
}

/** Where no other channel reaches the member, an outage is retried for two days: then the next step takes over. */
const OUTAGE_RETRY_MS = 60 * 60_000
const OUTAGE_ATTEMPTS_MAX = 48

const ended = (outcome: NudgeOutcome, change: NudgePlan["change"], facts: readonly Fact[]): NudgePlan => ({
  outcome,
  change,
  facts,
  fallback: null,
  postponed: null,
})

const later = (
  outcome: NudgeOutcome,
  nudge: Nudge,
  change: NudgePlan["change"],
  facts: readonly Fact[],
): NudgePlan => ({
  ...ended(outcome, change, facts),
  postponed: { ...nudge, ...change },
})

/** Planned again: nothing was sent, and the attempt does not count. */
const notTried = (nudge: Nudge, reason: string) =>
  ({ status: "planned", reason, attempts: nudge.attempts - 1, sentAt: null }) as const

/**
 * A nudge that may no longer be sent. A member who opted out as another customer is opted out as this one too, and stays
 * so even if the address changes.
 */
export function planSuppression(
  state: CustomerState,
  nudge: Nudge,
  reason: SuppressionReason,
  now: Instant,
  applied: readonly Fact[] = [],
): NudgePlan {
  const suppressed: Fact = {
    kind: "nudge_suppressed",
    id: `nudge_suppressed:${nudge.id}:${now}`,
    occurredAt: now,
    reason,
    ...refOf(nudge),
  }
  const isNewOptOut = reason === "opted_out" && state.outreach.optedOutAt === null
  const optedOut: Fact[] = isNewOptOut ? [optOut(nudge, `opted_out:${nudge.id}:address`, "address", now)] : []
  // It was marked as being sent, and was not sent.
  const unsent = nudge.status === "sending" ? { sentAt: null } : {}
  return ended("suppressed", { status: "suppressed", reason, ...unsent }, [...applied, ...optedOut, suppressed])
}

/** A nudge that may be sent from `until` on. */
export const planDeferral = (
  nudge: Nudge,
  { until, reason }: { readonly until: Instant; readonly reason: string },
  applied: readonly Fact[] = [],
): NudgePlan => {
  const change = nudge.status === "sending" ? { ...notTried(nudge, reason), dueAt: until } : { dueAt: until, reason }
  return later("deferred", nudge, change, applied)
}

/** A nudge whose address is reported by facts and not stored yet; it is retried at `until`. */
export const planAddressWait = (nudge: Nudge, until: Instant): NudgePlan =>
  later("deferred", nudge, { dueAt: until, reason: "address_pending", attempts: nudge.attempts + 1 }, [])

/** The input of `planSettle`. */
export interface Settlement {
  readonly attempt: Attempt
  readonly nudge: Nudge
  readonly others: readonly Nudge[]
  /** The customer's state before the attempt. */
  readonly state: CustomerState
  readonly settings: CompanySettings
  readonly reach: ReachableChannels
  /** The receipt of an incentive that was applied for this attempt. */
  readonly applied: readonly Fact[]
  /** The provider's API was unavailable for the incentive, which another channel would need too. */
  readonly isProviderAway: boolean
  readonly now: Instant
}

/**
 * How an attempt ended: the receipt is a fact, a retry is planned again, and a final failure is followed by the next
 * channel.
 */
export function planSettle(settlement: Settlement): NudgePlan {
  const { attempt, nudge, applied, now } = settlement
  if (attempt.kind === "switched_off") return later("switched_off", nudge, notTried(nudge, "switched_off"), applied)
  if (attempt.kind === "sent") {
    const { kind: _, ...receipt } = attempt
    const sent: Fact = {
      kind: "nudge_sent",
      id: `nudge_sent:${nudge.id}`,
      occurredAt: now,
      ...receipt,
      ...refOf(nudge),
    }
    return ended("sent", { status: "sent", reason: null, sentAt: now }, [...applied, sent])
  }
  const retry = attempt.kind === "retry" ? retryAt(nudge.attempts, attempt.retryAfterMs, now) : null
  return retry === null ? planFailure(settlement, attempt) : planRetry(settlement, attempt.reason, retry)
}

const planRetry = ({ nudge, applied }: Settlement, reason: string, dueAt: Instant): NudgePlan =>
  later("retry", nudge, { status: "planned", reason, dueAt, sentAt: null }, applied)

function planFailure(settlement: Settlement, attempt: Exclude<SendOutcome, { kind: "sent" }>): NudgePlan {
  const { nudge, others, state, settings, reach, applied, isProviderAway, now } = settlement
  const { kind, reason } = attempt
  const isUnknown = kind === "unknown"
  const isOptOut = reason === "opted_out"
  const failed: Fact = {
    kind: "nudge_failed",
    id: `nudge_failed:${nudge.id}`,
    occurredAt: now,
    reason,
    isUnknown,
    ...refOf(nudge),
  }
  const facts = [...applied, failed, ...(isOptOut ? [optOut(nudge, `opted_out:${nudge.id}`, "channel", now)] : [])]
  const mayFallBack = !isUnknown && !isOptOut && !isProviderAway
  const fallback = mayFallBack ? fallbackFor(fold(facts, state), nudge, others, settings, reach, now) : null
  if (kind === "retry" && fallback === null && nudge.attempts < OUTAGE_ATTEMPTS_MAX) {
    return planRetry(settlement, reason, new Date(Date.parse(now) + OUTAGE_RETRY_MS).toISOString())
  }
  const change = isUnknown
    ? ({ status: "unknown", reason } as const)
    : ({ status: "failed", reason, sentAt: null } as const)
  if (fallback === null) return ended(isUnknown ? "unknown" : "failed", change, facts)
  return { ...ended("failed", change, [...facts, plannedFact(fallback, now)]), fallback }
}

const optOut = (nudge: Nudge, id: string, via: "address" | "channel", now: Instant): Fact => ({
  kind: "opted_out",
  id,
  occurredAt: now,
  caseId: nudge.caseId,
  via,
})

const plannedFact = (nudge: Nudge, now: Instant): Fact => ({
  kind: "nudge_planned",
  id: `nudge_planned:${nudge.id}:${now}`,
  occurredAt: now,
  dueAt: nudge.dueAt,
  ...refOf(nudge),
})

const refOf = (nudge: Nudge): NudgeRef => ({
  nudgeId: nudge.id,
  caseId: nudge.caseId,
  step: nudge.step,
  channel: nudge.channel,
})
