/** Facts of a customer as sentences, for the timeline of a case. */
import type { FactKind } from "../../../shared/domain/facts.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { money, type Viewer } from "../viewer.ts"
import { inWords } from "./cases.tsx"

const SENTENCES: Readonly<Record<FactKind, string>> = {
  customer_seen: "The provider sent the customer's data",
  subscription_started: "The subscription started",
  subscription_changed: "The subscription changed",
  subscription_paused: "The subscription was paused",
  subscription_resumed: "The subscription was resumed",
  subscription_ended: "The subscription ended",
  subscription_not_found: "The provider has no such subscription",
  cancellation_announced: "The member asked to cancel",
  trial_ending: "The trial is about to end",
  payment_failed: "A payment failed",
  payment_pending: "A payment is being processed",
  payment_canceled: "A payment was canceled",
  payment_action_required: "The bank asks the member to confirm the payment",
  payment_succeeded: "The payment succeeded",
  payment_refunded: "The payment was refunded",
  refund_failed: "A refund failed",
  invoice_changed: "The invoice changed",
  invoice_credited: "A credit note was issued",
  invoice_part_paid: "A part of the invoice was paid",
  invoice_reissued: "The invoice was replaced by another",
  invoice_voided: "The invoice was voided",
  invoice_uncollectible: "The invoice was marked as uncollectible",
  dispute_opened: "The member disputed the payment",
  dispute_closed: "The dispute was closed",
  payment_method_added: "The member added a payment method",
  payment_method_updated_by_provider: "The bank sent the new data of the card",
  usage_recorded: "Usage was reported",
  ticket_opened: "The member asked for support",
  ticket_closed: "A support request was closed",
  risk_detected: "The member became likely to leave",
  risk_passed: "The member is no longer likely to leave",
  case_assigned: "The case was assigned at random",
  variant_assigned: "The words of the messages were assigned at random",
  case_closed_by_operator: "The case was closed manually",
  case_lapsed: "The case lapsed without news",
  nudge_planned: "A message was planned",
  nudge_sent: "A message was sent",
  nudge_failed: "A message could not be sent",
  nudge_suppressed: "A message was not sent",
  link_clicked: "The member opened the link",
  opted_out: "The member asked for no more messages",
  incentive_applied: "An incentive was applied",
}

/** A fact of a case, as the API answers it. */
export type TimelineFact = AnswerOf<"GET /api/cases/:id">["timeline"][number]

/** A fact as a sentence, with the details that its kind has. */
export function sentenceOf(viewer: Viewer, fact: TimelineFact): string {
  const { amountMinor, currency, declineCode, channel, step, reason, arm, variant } = fact
  const details = [
    typeof amountMinor === "number" && typeof currency === "string" && money(viewer, amountMinor, currency),
    typeof declineCode === "string" && inWords(declineCode),
    typeof channel === "string" && channel,
    typeof step === "number" && `day ${step}`,
    typeof reason === "string" && inWords(reason),
    typeof arm === "string" && (arm === "held_out" ? "held out, without messages" : "with messages"),
    typeof variant === "string" && variant,
  ].filter((detail) => detail !== false)
  const sentence = SENTENCES[fact.kind as FactKind] ?? inWords(fact.kind)
  return details.length === 0 ? sentence : `${sentence}: ${details.join(", ")}`
}
