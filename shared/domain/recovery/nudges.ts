/** A nudge as the database keeps it, and the rules of its life. Pure. */
import type { ChannelName, Incentive, Instant, SuppressionReason } from "../facts.ts"

/** `sending` is claimed and may be on its way; `unknown` may or may not have been seen and is left to a person. */
export type NudgeStatus = "planned" | "sending" | "sent" | "failed" | "suppressed" | "unknown"

export interface Nudge {
  readonly id: string
  readonly caseId: string
  /** Day offset of the playbook step; null when a person sent it by hand. */
  readonly step: number | null
  readonly channel: ChannelName
  readonly status: NudgeStatus
  readonly reason: string | null
  readonly incentive: Incentive | null
  readonly dueAt: Instant
  readonly attempts: number
  readonly sentAt: Instant | null
}

/** One nudge per case, step and channel: planning it twice is planning it once. */
export const nudgeId = (caseId: string, step: number, channel: ChannelName): string => `${caseId}.${step}.${channel}`

/** A nudge sent by hand carries the key of the click, so that a double click is one message. */
export const manualNudgeId = (caseId: string, key: string, channel: ChannelName): string =>
  `${caseId}.manual-${key}.${channel}`

/** Reasons that may pass: a nudge put aside for one of them is planned anew when the reason is gone. */
const REVOCABLE: ReadonlySet<string | null> = new Set<SuppressionReason>([
  "no_address",
  "silent_decline_code",
  "history",
  "other_case",
  "invoice_too_old",
])

/** True for a nudge that was never tried and may be planned anew; once tried, it may have been seen. */
export const isReplannable = ({ status, reason, attempts }: Nudge): boolean =>
  status === "suppressed" && attempts === 0 && REVOCABLE.has(reason)

/**
 * True for a message the member has, or may have, received. One that was put aside after its worker was lost on the way
 * still says in `sentAt` that it went out, or may have.
 */
export const mayHaveBeenDelivered = ({ status, sentAt }: Nudge): boolean =>
  status === "sending" || status === "sent" || status === "unknown" || (status === "suppressed" && sentAt !== null)
