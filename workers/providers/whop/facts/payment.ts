/**
 * Payments. Whop's payment is the bill and not one attempt to pay it: it keeps its id while `payments_failed` and
 * `next_payment_attempt` change and its status goes from open to paid (@whop/sdk, Payment). So the payment id is our
 * invoice id: all attempts, the success, refunds and disputes of one bill have it. There are no ids below it.
 */
import type { PaymentRefs, ProviderFactBody, StatedMoney } from "../../../../shared/domain/facts.ts"
import { ok } from "../../../../shared/result.ts"
import { customerSeen, type EventReader, notUsed, ownId, statedInstant } from "../events/event-reading.ts"
import { countOf, firstOf, idOf, type JsonObject, related, relatedId, textOf } from "../events/fields.ts"
import { declineCodeOf } from "./decline.ts"
import { firstMoney, statedMoneyOf } from "./money.ts"

/** Fields of the amount billed, by preference: v1's total, v5's final amount, the name in newer versions; the subtotal last. */
const AMOUNTS = ["total", "final_amount", "amount_charged", "subtotal"] as const

/** Reads `payment.*`. */
export const readPayment: EventReader = ({ kind, data }) => {
  if (kind === "payment.created") return notUsed(data)
  const id = ownId(data, "payment")
  if (!id.ok) return id
  const money = firstMoney(data, AMOUNTS, firstOf(data, "currency"))
  const fact = paymentFact(kind, data, { ...paymentRefs(data), ...statedMoneyOf(money) })
  if (fact === null) return notUsed(data, "unknown type")
  return ok({
    facts: [customerSeen(data), fact],
    subject: data,
    objects: paymentObjects(data),
    happenedAt: statedInstant(data, ...HAPPENED_AT[fact.kind]) ?? null,
  })
}

type PaymentFact = Extract<
  ProviderFactBody,
  { kind: "payment_failed" | "payment_succeeded" | "payment_action_required" | "payment_pending" }
>

const HAPPENED_AT: Readonly<Record<PaymentFact["kind"], readonly string[]>> = {
  payment_failed: ["last_payment_attempt", "last_payment_attempt_at"],
  payment_succeeded: ["paid_at"],
  payment_action_required: [],
  payment_pending: [],
}

function paymentFact(kind: string, data: JsonObject, refsAndMoney: PaymentRefs & StatedMoney): PaymentFact | null {
  switch (kind) {
    case "payment.failed": {
      const nextAttemptAt = statedInstant(data, "next_payment_attempt", "next_payment_attempt_at")
      const issuedAt = statedInstant(data, "created_at")
      const failures = countOf(data.payments_failed)
      return {
        kind: "payment_failed",
        ...refsAndMoney,
        // This event is a failure, so there was at least one, even if the counter is raised later.
        attempt: failures === null ? null : Math.max(failures, 1),
        declineCode: declineCodeOf(data),
        ...(nextAttemptAt !== undefined && { nextAttemptAt }),
        isFirstInvoice: isFirstBill(data),
        ...(typeof issuedAt === "string" && { issuedAt }),
      }
    }
    case "payment.succeeded":
      return { kind: "payment_succeeded", ...refsAndMoney, how: "collected" }
    case "payment.pending":
      return { kind: "payment_pending", ...refsAndMoney, method: textOf(data.payment_method_type), expiresAt: null }
    case "payment.requires_action":
      return { kind: "payment_action_required", ...refsAndMoney }
    default:
      return null
  }
}

/**
 * Whether it is the first bill: its failure is a failed sale, not a customer at risk. v2 has the plan's type in place of a
 * billing reason; v5 has neither, which counts as no. A `drafted` membership has never been active (@whop/sdk,
 * Payment.retryable).
 */
function isFirstBill(data: JsonObject): boolean {
  const reason = textOf(data.billing_reason)
  if (reason !== null) return reason === "subscription_create" || reason === "one_time"
  return related(data, "plan").plan_type === "one_time" || related(data, "membership").status === "drafted"
}

/** The ids of a payment, or of as much of it as another object has (`payment_id`, v5). */
export const paymentRefs = (data: JsonObject): PaymentRefs => ({
  invoiceId: idOf(data.id),
  subscriptionId: relatedId(data, "membership"),
  chargeId: null,
  paymentIntentId: null,
})

/** Ids of objects of the same customer as the payment, most specific first. */
export const paymentObjects = (data: JsonObject): readonly (string | null)[] => [
  idOf(data.id),
  relatedId(data, "membership"),
  relatedId(data, "member"),
]
