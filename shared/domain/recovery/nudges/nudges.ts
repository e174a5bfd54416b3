/** A nudge as stored in the database, and what its status means. Pure. */
import type { ChannelName, Incentive, Instant, SuppressionReason } from "../../facts.ts"

/** `sending`: claimed, and may be on its way; `unknown`: may have been delivered, and is not retried automatically. */
export type NudgeStatus = "planned" | "sending" | "sent" | "failed" | "suppressed" | "unknown"

export interface Nudge {
  readonly id: string
  readonly caseId: string
  /** Day offset of the playbook step; null when it was sent manually. */
  readonly step: number | null
  readonly channel: ChannelName
  readonly status: NudgeStatus
  readonly reason: string | null
  readonly incentive: Incentive | null
  readonly dueAt: Instant
  readonly attempts: number
  readonly sentAt: Instant | null
}

/** One nudge per case, step and channel, so that planning is idempotent. */
export const nudgeId = (caseId: string, step: number, channel: ChannelName): string => `${caseId}.${step}.${channel}`

/** A manual nudge has an idempotency key, so that a double click is one message. */
export const manualNudgeId = (caseId: string, key: string, channel: ChannelName): string =>
  `${caseId}.manual-${key}.${channel}`

/** Reasons that can cease: a nudge that is suppressed for one of them is planned again afterwards. */
const TEMPORARY_REASONS: ReadonlySet<string | null> = new Set<SuppressionReason>([
  "no_address",
  "silent_decline_code",
  "history",
  "other_case",
  "invoice_too_old",
])

/** True for a nudge that was never attempted and may be planned again; once attempted, it may have been delivered. */
export const isReplannable = ({ status, reason, attempts }: Nudge): boolean =>
  status === "suppressed" && attempts === 0 && TEMPORARY_REASONS.has(reason)

/**
 * True for a message that was, or may have been, delivered. A nudge that was suppressed after its worker failed while
 * sending still has a `sentAt`.
 */
export const mayHaveBeenDelivered = ({ status, sentAt }: Nudge): boolean =>
  status === "sending" || status === "sent" || status === "unknown" || (status === "suppressed" && sentAt !== null)

/** True for a message to the member; `slack` is the team's channel. */
export const isToMember = ({ channel }: Nudge): boolean => channel !== "slack"

/** When a message was sent. One that is being sent counts as sent now: after an outage, it may have been due long ago. */
export const timeOf = ({ sentAt, dueAt, status }: Nudge, now: Instant): Instant =>
  sentAt ?? (status === "sending" ? now : dueAt)
