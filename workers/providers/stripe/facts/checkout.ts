/**
 * Checkout with a payment method that takes days: `checkout.session.completed` is sent when the debit starts, with
 * `payment_status: unpaid`, and one of these events with its result (docs.stripe.com/payments/checkout/fulfill-orders,
 * "delayed notification payment methods"). A session names its payment intent in `payment` mode, its invoice and
 * subscription in `subscription` mode; `amount_total` is what the buyer pays after discounts and taxes; `payment_status` is
 * `paid`, `unpaid` or `no_payment_required` (docs.stripe.com/api/checkout/sessions/object).
 */
import * as z from "zod"
import { type StatedMoney, UNKNOWN_MONEY } from "../../../../shared/domain/facts.ts"
import { type EventReader, unhandled, withFacts } from "../events/event-reading.ts"
import { currency, detail, id, type JsonObject, minorUnits, moneyOf, read } from "../events/fields.ts"
import { refsOf } from "../events/object-links.ts"

const session = z.lazy(() =>
  z.object({
    object: z.literal("checkout.session"),
    id,
    amount_total: detail(minorUnits),
    currency: detail(currency),
    payment_status: detail(z.string()),
  }),
)

type Session = z.output<typeof session>

/** Where a session names an invoice, only the invoice has the amount, since it also includes balances. */
const moneyOfSession = (object: JsonObject, { amount_total: amount, currency: code }: Session): StatedMoney =>
  refsOf(object).invoiceId === null ? moneyOf(amount, code) : UNKNOWN_MONEY

const namesPayment = (object: JsonObject): boolean => {
  const { invoiceId, paymentIntentId } = refsOf(object)
  return (invoiceId ?? paymentIntentId) !== null
}

/** `checkout.session.async_payment_succeeded`: the debit succeeded. */
export const checkoutPaymentSucceeded: EventReader = ({ object }) => {
  const parsed = read(session, object)
  if (!parsed.ok) return unhandled(parsed.error)
  if (!namesPayment(object)) return unhandled("checkout session names no payment")
  if (parsed.value.payment_status !== "paid") return unhandled("checkout session is not paid")
  return withFacts({
    kind: "payment_succeeded",
    ...{ ...refsOf(object), ...moneyOfSession(object, parsed.value) },
    how: "collected",
  })
}

/**
 * `checkout.session.async_payment_failed`: the debit failed. A checkout is a sale: its invoice is the first one, and a
 * failure of it is a sale that was not made.
 */
export const checkoutPaymentFailed: EventReader = ({ object }) => {
  const parsed = read(session, object)
  if (!parsed.ok) return unhandled(parsed.error)
  if (!namesPayment(object)) return unhandled("checkout session names no payment")
  if (parsed.value.payment_status === "paid") return unhandled("checkout session is paid")
  return withFacts({
    kind: "payment_failed",
    ...{ ...refsOf(object), ...moneyOfSession(object, parsed.value) },
    attempt: null,
    declineCode: null,
    isFirstInvoice: true,
  })
}
