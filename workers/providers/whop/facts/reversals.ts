/** Refunds and disputes. Both contain the payment that they reverse (v1, v5), or its id. */
import type { PaymentRefs, ProviderFactBody, StatedMoney } from "../../../../shared/domain/facts.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { customerSeen, type EventReader, notUsed, ownId } from "../events/event-reading.ts"
import { codeTextOf, firstOf, idOf, type JsonObject, objectOf, relatedId, textOf } from "../events/fields.ts"
import { firstMoney, moneyOf, statedMoneyOf } from "./money.ts"
import { paymentObjects } from "./payment.ts"

/**
 * Reads `refund.*`. Only a refund that succeeded moved money. Whop gives this refund's amount, and the payment's total refunded
 * so far only in some versions; the larger of the two is the best estimate of the total.
 */
export const readRefund: EventReader = ({ data }) => {
  const hasFailed = data.status === "failed" || data.status === "canceled"
  if (data.status !== "succeeded" && !hasFailed) return notUsed(data, "refund has not succeeded")
  const payment = paymentWithin(data)
  const refs = refsWithin(data)
  if (!refs.ok) return err("refund names no payment")
  const money = moneyOf(data.amount, firstOf(data, "currency"))
  if (!money.ok) return err(`refund: ${money.error}`)
  const total = firstMoney(payment, ["refunded_amount"], payment.currency)
  const isSameCurrency = total.ok && total.value.currency === money.value.currency
  const amountMinor = Math.max(money.value.amountMinor, isSameCurrency ? total.value.amountMinor : 0)
  const refundId = idOf(data.id)
  if (hasFailed && refundId === null) return notUsed(data, "refund has not succeeded")
  const common = { ...refs.value, ...money.value }
  const fact: ProviderFactBody =
    hasFailed && refundId !== null
      ? { kind: "refund_failed", ...common, refundId }
      : {
          kind: "payment_refunded",
          ...{ ...common, amountMinor },
          ...(refundId !== null && { refundId, refundMinor: money.value.amountMinor }),
        }
  return ok({
    facts: [customerSeen(payment), fact],
    subject: payment,
    objects: [refs.value.invoiceId, ...paymentObjects(payment)],
  })
}

/** Reads `dispute.*`. */
export const readDispute: EventReader = ({ kind, data }) => {
  const id = ownId(data, "dispute")
  if (!id.ok) return id
  const refs = refsWithin(data)
  if (!refs.ok) return err("dispute names no payment")
  const money = statedMoneyOf(moneyOf(data.amount, firstOf(data, "currency")))

  const payment = paymentWithin(data)
  const facts = disputeFacts(kind, data, id.value, { ...refs.value, ...money })
  if (facts.length === 0) return notUsed(payment, "dispute status not used")
  return ok({
    facts: [customerSeen(payment), ...facts],
    subject: payment,
    objects: [refs.value.invoiceId, ...paymentObjects(payment)],
  })
}

/**
 * @whop/sdk, DisputeStatuses. A `warning_…` is an inquiry: the bank asks before money moves. When it escalates, the same
 * dispute is opened again as a chargeback. `other` has no meaning that could be used.
 */
function disputeFacts(
  kind: string,
  data: JsonObject,
  disputeId: string,
  refsAndMoney: PaymentRefs & StatedMoney,
): ProviderFactBody[] {
  const status = textOf(data.status) ?? "other"
  const outcome = outcomeOf(status, data)
  const isOpening = kind === "dispute.created" || status.endsWith("needs_response") || status.endsWith("under_review")
  const facts: ProviderFactBody[] = []
  if (isOpening) {
    const isInquiry = status.startsWith("warning_")
    facts.push({ kind: "dispute_opened", disputeId, reason: codeTextOf(data.reason), isInquiry, ...refsAndMoney })
  }
  if (outcome !== null) facts.push({ kind: "dispute_closed", disputeId, outcome, ...refsAndMoney })
  return facts
}

/** Rapid Dispute Resolution ends a dispute by refunding it, so a dispute that it closed is lost. */
function outcomeOf(status: string, data: JsonObject): "won" | "lost" | "withdrawn" | null {
  if (status === "won" || status === "lost") return status
  if (status === "warning_closed") return "withdrawn"
  if (status === "closed") return data.visa_rdr === true ? "lost" : "withdrawn"
  return null
}

const paymentWithin = (data: JsonObject): JsonObject => objectOf(data.payment) ?? {}

function refsWithin(data: JsonObject): Result<PaymentRefs & { readonly invoiceId: string }, string> {
  const invoiceId = relatedId(data, "payment")
  if (invoiceId === null) return err("no payment")
  const subscriptionId = relatedId(paymentWithin(data), "membership") ?? relatedId(data, "membership")
  return ok({ invoiceId, subscriptionId, chargeId: null, paymentIntentId: null })
}
