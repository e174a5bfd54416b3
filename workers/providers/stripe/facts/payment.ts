/** Events about charges, payment intents and refunds. Since basil none of them names its invoice. */
import * as z from "zod"
import type { StatedMoney } from "../../../../shared/domain/facts.ts"
import { type EventReader, unhandled, withFacts } from "../events/event-reading.ts"
import {
  at,
  codeOf,
  currency,
  detail,
  id,
  instantOf,
  isObject,
  type JsonObject,
  minorUnits,
  moneyOf,
  orNull,
  read,
} from "../events/fields.ts"
import { refsOf } from "../events/object-links.ts"
import { declineCodeOf } from "./decline-code.ts"

const charge = z.lazy(() =>
  z.object({
    object: z.literal("charge"),
    id,
    currency: detail(currency),
    amount: detail(minorUnits),
    amount_captured: detail(minorUnits),
    captured: detail(z.boolean()),
    paid: detail(z.boolean()),
  }),
)

const refundedCharge = z.lazy(() =>
  z.object({
    object: z.literal("charge"),
    id,
    currency,
    amount_refunded: minorUnits,
    amount: minorUnits.nullish().catch(null),
    amount_captured: minorUnits.nullish().catch(null),
  }),
)

const paymentIntent = z.lazy(() =>
  z.object({
    object: z.literal("payment_intent"),
    id,
    currency: detail(currency),
    amount: detail(minorUnits),
    amount_received: detail(minorUnits),
  }),
)

const refund = z.lazy(() => z.object({ id, currency, amount: minorUnits, status: orNull(z.string()) }))

/** Failed charges and payment intents have the same fields; `declineCodeOf` finds the reason of each. */
const failedReader =
  (schema: z.ZodType<{ amount: number | null; currency: string | null }>): EventReader =>
  ({ object }) => {
    const failed = read(schema, object)
    if (!failed.ok) return unhandled(failed.error)
    return withFacts({
      kind: "payment_failed",
      ...refsOf(object),
      ...moneyOf(failed.value.amount, failed.value.currency),
      attempt: null,
      declineCode: declineCodeOf(object),
      isFirstInvoice: isFirstInvoice(object.invoice),
    })
  }

const collected = (object: JsonObject, money: StatedMoney) =>
  withFacts({ kind: "payment_succeeded", ...refsOf(object), ...money, how: "collected" })

export const chargeFailed: EventReader = failedReader(charge)

/** `payment_intent.payment_failed`: the error is on the intent, which only names the charge. */
export const paymentIntentFailed: EventReader = failedReader(paymentIntent)

/** `charge.succeeded` and `charge.captured`: money moved only once the charge is captured. */
export const chargeSucceeded: EventReader = ({ object }) => {
  const succeeded = read(charge, object)
  if (!succeeded.ok) return unhandled(succeeded.error)
  const { amount, amount_captured, captured, paid, currency } = succeeded.value
  if (captured === false || paid === false) return unhandled("charge is not captured")
  return collected(object, moneyOf(amount_captured ?? amount, currency))
}

export const paymentIntentSucceeded: EventReader = ({ object }) => {
  const succeeded = read(paymentIntent, object)
  if (!succeeded.ok) return unhandled(succeeded.error)
  const { amount, amount_received, currency } = succeeded.value
  return collected(object, moneyOf(amount_received ?? amount, currency))
}

/** Next actions by which the member pays later: a voucher, a transfer, or small deposits to confirm. */
const PAY_LATER_ACTIONS: Readonly<Record<string, string>> = {
  boleto_display_details: "boleto",
  oxxo_display_details: "oxxo",
  konbini_display_details: "konbini",
  multibanco_display_details: "multibanco",
  display_bank_transfer_instructions: "customer_balance",
  verify_with_microdeposits: "us_bank_account",
}

/** `charge.pending`: a bank debit in progress. */
export const chargePending: EventReader = ({ object }) => {
  const pending = read(charge, object)
  if (!pending.ok) return unhandled(pending.error)
  if (object.status !== "pending") return unhandled("charge is not pending")
  const method = codeOf(at(object, "payment_method_details", "type"))
  const { amount, currency } = pending.value
  return withFacts({
    kind: "payment_pending",
    ...refsOf(object),
    ...moneyOf(amount, currency),
    method,
    expiresAt: null,
  })
}

/** `payment_intent.processing`: the same for its payment intent. */
export const paymentIntentProcessing: EventReader = ({ object }) => {
  const intent = read(paymentIntent, object)
  if (!intent.ok) return unhandled(intent.error)
  if (object.status !== "processing") return unhandled("payment intent is not processing")
  const types: readonly unknown[] = Array.isArray(object.payment_method_types) ? object.payment_method_types : []
  const method =
    codeOf(at(object, "latest_charge", "payment_method_details", "type")) ??
    codeOf(at(object, "payment_method", "type")) ??
    (types.length === 1 ? codeOf(types[0]) : null)
  const { amount, currency } = intent.value
  return withFacts({
    kind: "payment_pending",
    ...refsOf(object),
    ...moneyOf(amount, currency),
    method,
    expiresAt: null,
  })
}

/**
 * `payment_intent.canceled`: a debit or voucher is no longer in progress. It is no failed attempt: an intent is canceled on
 * request, as abandoned, or with its invoice (`cancellation_reason`), in rare cases
 * while it is `processing` (docs.stripe.com/api/payment_intents/object#payment_intent_object-status and
 * -cancellation_reason; docs.stripe.com/api/payment_intents/cancel).
 */
export const paymentIntentCanceled: EventReader = ({ object }) => {
  const intent = read(paymentIntent, object)
  if (!intent.ok) return unhandled(intent.error)
  if (object.status !== "canceled") return unhandled("payment intent is not canceled")
  return withFacts({ kind: "payment_canceled", ...refsOf(object) })
}

/** `payment_intent.requires_action`: a voucher was shown to the member. Other actions have an event of the invoice. */
export const paymentIntentRequiresAction: EventReader = ({ object }) => {
  const intent = read(paymentIntent, object)
  if (!intent.ok) return unhandled(intent.error)
  const action = codeOf(at(object, "next_action", "type"))
  const method = action !== null && Object.hasOwn(PAY_LATER_ACTIONS, action) ? PAY_LATER_ACTIONS[action] : undefined
  if (object.status !== "requires_action" || action === null || method === undefined)
    return unhandled("payment intent shows no voucher")
  const shown = at(object, "next_action", action)
  const expiresAt = instantOf(at(shown, "expires_at")) ?? instantOf(at(shown, "expires_after"))
  const { amount, currency } = intent.value
  return withFacts({ kind: "payment_pending", ...refsOf(object), ...moneyOf(amount, currency), method, expiresAt })
}

/** `charge.refunded`: the charge has the total refunded. */
export const chargeRefunded: EventReader = ({ object }) => {
  const refunded = read(refundedCharge, object)
  if (!refunded.ok) return unhandled(refunded.error)
  const { amount_refunded: amountMinor, currency, amount, amount_captured: captured } = refunded.value
  const chargeMinor = captured ?? amount
  return withFacts({
    kind: "payment_refunded",
    ...refsOf(object),
    amountMinor,
    currency,
    ...(typeof chargeMinor === "number" && { chargeMinor }),
  })
}

/** A refund that failed or was canceled gave nothing back. */
const VOID_REFUNDS = ["failed", "canceled"]

/**
 * `refund.created`, `refund.updated`, `refund.failed`: a refund has only its own amount, which is the least that the total
 * can be; where the charge was expanded, that has the total.
 */
export const refundChanged: EventReader = ({ type, object }) => {
  const parsed = read(refund, object)
  if (!parsed.ok) return unhandled(parsed.error)
  const { id: refundId, amount, status, currency } = parsed.value
  const refs = refsOf(object)
  if (refs.chargeId === null && refs.paymentIntentId === null) return unhandled("refund names no payment")
  if (type === "refund.failed" || (status !== null && VOID_REFUNDS.includes(status)))
    return withFacts({ kind: "refund_failed", ...refs, refundId, amountMinor: amount, currency })

  const total = isObject(object.charge) ? read(refundedCharge, object.charge) : null
  return withFacts({
    kind: "payment_refunded",
    ...refs,
    amountMinor: total?.ok ? total.value.amount_refunded : amount,
    currency,
    refundId,
    refundMinor: amount,
  })
}

/** Known only where the invoice was expanded. */
const isFirstInvoice = (invoice: unknown): boolean => at(invoice, "billing_reason") === "subscription_create"
