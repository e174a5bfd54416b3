/**
 * What is written down of a nudge: that it is not sent, is sent later, or how sending it ended. Each is one change of the
 * nudge and the facts that report it, for one commit.
 */

import type { Fact, Instant, NudgeRef, SuppressionReason } from "../facts.ts"
import type { CompanySettings } from "../settings.ts"
import type { CustomerState } from "../state.ts"
import { fallbackFor, type ReachableChannels, retryAt } from "./decide.ts"
import { fold } from "./fold.ts"
import type { Nudge } from "./nudges.ts"

/**
 * How a send ended.
 * `refused`: no effect, and none later (bad address, blocked): give up on this channel.
 * `retry`: no effect, the same may work later; `retryAfterMs` when the other side said how long.
 * `unknown`: it may or may not have been seen (time-out, lost reply): never sent again. None of these channels promises to
 * drop a second message with the same key.
 */
export type SendOutcome =
  | { readonly kind: "sent"; readonly providerMessageId: string | null }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "retry"; readonly reason: string; readonly retryAfterMs: number | null }
  | { readonly kind: "unknown"; readonly reason: string }

/** A send, or no send because effects were switched off after the nudge was claimed. */
export type Attempt = SendOutcome | { readonly kind: "switched_off" }

export type NudgeOutcome = "sent" | "suppressed" | "deferred" | "retry" | "failed" | "unknown" | "switched_off"

/** One write about one nudge. */
export interface NudgePlan {
  readonly outcome: NudgeOutcome
  readonly change: Partial<Pick<Nudge, "status" | "reason" | "dueAt" | "attempts" | "sentAt">>
  readonly facts: readonly Fact[]
  /** The same step on another channel, planned because this one failed for good. */
  readonly fallback: Nudge | null
  /** This nudge as it stands after the write, when it is to be sent later. */
  readonly postponed: Nudge | null
}

/** Where nothing else can reach the member an outage is waited out, for two days: a later step says it all by then. */
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

/** Back to the plan as if this try had not been: nothing was sent, and the try does not count. */
const notTried = (nudge: Nudge, reason: string) =>
  ({ status: "planned", reason, attempts: nudge.attempts - 1, sentAt: null }) as const

/**
 * A nudge that may no longer be sent. A member who opted out as another customer has opted out as this one too, and stays
 * opted out whatever becomes of the address.
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
  // One that was already marked as being sent was not sent after all.
  const unsent = nudge.status === "sending" ? { sentAt: null } : {}
  return ended("suppressed", { status: "suppressed", reason, ...unsent }, [...applied, ...optedOut, suppressed])
}

/** A nudge that may be sent at `until` and not before. */
export const planDeferral = (
  nudge: Nudge,
  { until, reason }: { readonly until: Instant; readonly reason: string },
  applied: readonly Fact[] = [],
): NudgePlan => {
  const change = nudge.status === "sending" ? { ...notTried(nudge, reason), dueAt: until } : { dueAt: until, reason }
  return later("deferred", nudge, change, applied)
}

/** A nudge whose address is reported by facts and not stored yet; it is looked for again at `until`. */
export const planAddressWait = (nudge: Nudge, until: Instant): NudgePlan =>
  later("deferred", nudge, { dueAt: until, reason: "address_pending", attempts: nudge.attempts + 1 }, [])

/** What settling a nudge depends on. */
export interface Settlement {
  readonly attempt: Attempt
  readonly nudge: Nudge
  readonly others: readonly Nudge[]
  /** Of the customer, as it was before the attempt. */
  readonly state: CustomerState
  readonly settings: CompanySettings
  readonly reach: ReachableChannels
  /** Receipt of an incentive that was applied for this attempt. */
  readonly applied: readonly Fact[]
  /** The provider's API was not available for the incentive: another channel would wait for it too. */
  readonly isProviderAway: boolean
  readonly now: Instant
}

/**
 * How an attempt ended: the receipt is a fact, what may work later is planned again, and a channel that gave up hands over
 * to the next one.
 */
export function planSettle(settlement: Settlement): NudgePlan {
  const { attempt, nudge, applied, now } = settlement
  if (attempt.kind === "switched_off") return later("switched_off", nudge, notTried(nudge, "switched_off"), applied)
  if (attempt.kind === "sent") {
    const { providerMessageId } = attempt
    const ref = refOf(nudge)
    const sent: Fact = { kind: "nudge_sent", id: `nudge_sent:${nudge.id}`, occurredAt: now, providerMessageId, ...ref }
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
