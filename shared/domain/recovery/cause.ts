/** What the end of a case is attributed to. One label per case, so that recovered revenue is the sum of its causes. */
import { type CaseState, type CustomerState, paymentOf } from "../state.ts"

export type Cause =
  | "nudge"
  | "incentive"
  | "card_updater"
  | "customer"
  | "out_of_band"
  | "provider_retry"
  | "resumed"
  | "provider_gave_up"
  | "voided"
  | "uncollectible"
  | "subscription_ended"
  | "dispute"
  | "closed_by_operator"
  | "risk_fell"
  | "stayed"
  | "cancellation_announced"
  | "waived"
  | "refunded"
  | "switched"
  | "lapsed"

/** A payment is attributed to our last message within seven days (docs/decisions/0029-last-touch-attribution.md). */
const ATTRIBUTION_WINDOW_MS = 7 * 86_400_000

/**
 * The cause of a case's end; null while it is open. A recovery is attributed to the strongest evidence, in this order: an
 * out-of-band payment, an incentive, a message or click within the seven days before, the card updater, the member
 * unasked (by adding a card, or by paying an invoice that is not charged automatically), the provider's retry.
 */
export function causeOf(recoveryCase: CaseState, state: CustomerState): Cause | null {
  const { closeReason, closedAt, newCard } = recoveryCase
  if (closeReason === null || closedAt === null) return null
  if (closeReason !== "paid" && closeReason !== "resumed") return closeReason

  if (paymentOf(state, recoveryCase.invoiceId)?.how === "out_of_band") return "out_of_band"

  const since = new Date(Date.parse(closedAt) - ATTRIBUTION_WINDOW_MS).toISOString()
  const isWithin = (at: string): boolean => at >= since && at <= closedAt
  const isRecent = (contact: { readonly caseId: string; readonly at: string; readonly firstAt?: string }): boolean =>
    contact.caseId === recoveryCase.id && (isWithin(contact.at) || isWithin(contact.firstAt ?? contact.at))

  if (state.outreach.incentives.some(isRecent)) return "incentive"
  if (state.outreach.clicks.some(isRecent) || state.outreach.sent.some(isRecent)) return "nudge"
  if (closeReason === "resumed") return "resumed"
  if (newCard === "by_provider") return "card_updater"
  if (newCard === "by_member" || recoveryCase.collection === "manual") return "customer"
  return "provider_retry"
}
