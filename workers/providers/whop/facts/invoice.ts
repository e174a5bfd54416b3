/**
 * Invoices: bills that a seller creates manually. They have ids of their own and do not name the payment that settles them
 * (@whop/sdk, Invoice), so an overdue one is a case under the invoice's id, and is recovered by `invoice.paid`. Where an event
 * names the payment, the case has the payment's id.
 */
import type { Money, PaymentRefs, ProviderFactBody } from "../../../../shared/domain/facts.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { customerSeen, type EventReader, notUsed, ownId } from "../events/event-reading.ts"
import { firstOf, type JsonObject, objectOf, related, relatedId } from "../events/fields.ts"
import { firstMoney, moneyOf, statedMoneyOf } from "./money.ts"

/** Reads `invoice.*`. */
export const readInvoice: EventReader = ({ kind, data }) => {
  const id = ownId(data, "invoice")
  if (!id.ok) return id
  const refs: PaymentRefs = {
    invoiceId: relatedId(data, "payment") ?? id.value,
    subscriptionId: relatedId(data, "membership"),
    chargeId: null,
    paymentIntentId: null,
  }
  const fact = invoiceFact(kind, data, refs)
  if (fact === null) return notUsed(data)
  // The invoice has the address beside the user, not within.
  const subject = { ...data, email: data.email_address }
  return ok({
    facts: [customerSeen(subject), fact],
    subject,
    objects: [refs.invoiceId, id.value, refs.subscriptionId],
  })
}

function invoiceFact(kind: string, data: JsonObject, refs: PaymentRefs): ProviderFactBody | null {
  if (kind === "invoice.voided") return { kind: "invoice_voided", ...refs }
  if (kind === "invoice.marked_uncollectible") return { kind: "invoice_uncollectible", ...refs }
  if (kind !== "invoice.paid" && kind !== "invoice.past_due") return null

  const money = statedMoneyOf(invoiceMoney(data))
  if (kind === "invoice.paid") return { kind: "payment_succeeded", ...refs, ...money, how: "collected" }
  // Overdue is not a declined card: there is no attempt, no code, and no retry.
  return {
    kind: "payment_failed",
    ...refs,
    ...money,
    attempt: null,
    declineCode: null,
    isFirstInvoice: false,
    collection: "manual",
    ...(refs.subscriptionId === null && { billing: "one_off" }),
  }
}

/** The invoice's total, else the sum of its lines. `formatted_price` is for people and not read. */
function invoiceMoney(data: JsonObject): Result<Money, string> {
  const currency = firstOf(data, "currency") ?? related(data, "current_plan").currency
  const whole = firstMoney(data, ["total", "amount_due"], currency)
  const lines = Array.isArray(data.line_items) ? data.line_items : []
  if (whole.ok || lines.length === 0) return whole

  const amounts = lines.map((line) => moneyOf(objectOf(line)?.total, currency))
  let amountMinor = 0
  for (const amount of amounts) {
    if (!amount.ok) return amount
    amountMinor += amount.value.amountMinor
  }
  const [first] = amounts
  return first?.ok && Number.isSafeInteger(amountMinor)
    ? ok({ ...first.value, amountMinor })
    : err("amount not readable")
}
