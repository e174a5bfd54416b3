/** Events about charges, payment intents and refunds. Since basil none of them names its invoice. */
import * as z from "zod"
import type { StatedMoney } from "../../../shared/domain/facts.ts"
import { declineCodeOf } from "./decline-code.ts"
import { at, currency, detail, id, isObject, type JsonObject, minorUnits, moneyOf, orNull, read } from "./fields.ts"
import { type Reader, says, unhandled } from "./reading.ts"
import { refsOf } from "./ties.ts"

const charge = z.object({
  object: z.literal("charge"),
  id,
  currency: detail(currency),
  amount: detail(minorUnits),
  amount_captured: detail(minorUnits),
  captured: detail(z.boolean()),
  paid: detail(z.boolean()),
})

const refundedCharge = z.object({ object: z.literal("charge"), id, currency, amount_refunded: minorUnits })

const paymentIntent = z.object({
  object: z.literal("payment_intent"),
  id,
  currency: detail(currency),
  amount: detail(minorUnits),
  amount_received: detail(minorUnits),
})

const refund = z.object({ id, currency, amount: minorUnits, status: orNull(z.string()) })

/** Charges and payment intents say alike that a payment failed; `declineCodeOf` knows where each keeps its reason. */
const failedReader =
  (schema: z.ZodType<{ amount: number | null; currency: string | null }>): Reader =>
  ({ object }) => {
    const failed = read(schema, object)
    if (!failed.ok) return unhandled(failed.error)
    return says({
      kind: "payment_failed",
      ...refsOf(object),
      ...moneyOf(failed.value.amount, failed.value.currency),
      attempt: null,
      declineCode: declineCodeOf(object),
      isFirstInvoice: isFirstInvoice(object.invoice),
    })
  }

const collected = (object: JsonObject, money: StatedMoney) =>
  says({ kind: "payment_succeeded", ...refsOf(object), ...money, how: "collected" })

/** `charge.failed`. */
export const chargeFailed: Reader = failedReader(charge)

/** `payment_intent.payment_failed`: the error is on the intent, the charge is only named. */
export const paymentIntentFailed: Reader = failedReader(paymentIntent)

/** `charge.succeeded` and `charge.captured`: money moved only once the charge is captured. */
export const chargeSucceeded: Reader = ({ object }) => {
  const succeeded = read(charge, object)
  if (!succeeded.ok) return unhandled(succeeded.error)
  const { amount, amount_captured, captured, paid, currency } = succeeded.value
  if (captured === false || paid === false) return unhandled("charge is not captured")
  return collected(object, moneyOf(amount_captured ?? amount, currency))
}

/** `payment_intent.succeeded`. */
export const paymentIntentSucceeded: Reader = ({ object }) => {
  const succeeded = read(paymentIntent, object)
  if (!succeeded.ok) return unhandled(succeeded.error)
  const { amount, amount_received, currency } = succeeded.value
  return collected(object, moneyOf(amount_received ?? amount, currency))
}

/** `charge.refunded`: the charge knows the total. */
export const chargeRefunded: Reader = ({ object }) => {
  const refunded = read(refundedCharge, object)
  if (!refunded.ok) return unhandled(refunded.error)
  const { amount_refunded: amountMinor, currency } = refunded.value
  return says({ kind: "payment_refunded", ...refsOf(object), amountMinor, currency })
}

/** A refund that failed or was canceled gave nothing back. */
const VOID_REFUNDS = ["failed", "canceled"]

/**
 * `refund.created`, `refund.updated`, `refund.failed`: a refund knows only itself, so its amount is the least that the
 * total can be; where the charge was expanded, it is the total.
 */
export const refundSeen: Reader = ({ type, object }) => {
  const seen = read(refund, object)
  if (!seen.ok) return unhandled(seen.error)
  const { amount, status, currency } = seen.value
  if (type === "refund.failed" || (status !== null && VOID_REFUNDS.includes(status)))
    return unhandled("refund gave nothing back")
  const refs = refsOf(object)
  if (refs.chargeId === null && refs.paymentIntentId === null) return unhandled("refund names no payment")

  const total = isObject(object.charge) ? read(refundedCharge, object.charge) : null
  return says({
    kind: "payment_refunded",
    ...refs,
    amountMinor: total?.ok ? total.value.amount_refunded : amount,
    currency,
  })
}

/** Only an expanded invoice says it. */
const isFirstInvoice = (invoice: unknown): boolean => at(invoice, "billing_reason") === "subscription_create"
