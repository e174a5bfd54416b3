/** The payment of an invoice after one more fact of it. */
import type { BillDetails, Fact, Money, StatedMoney } from "../../../facts.ts"
import type { PaymentState } from "../../../state.ts"

type PaymentFact = Extract<Fact, { readonly invoiceId: string | null; readonly chargeId: string | null }>

/**
 * The payment with what a fact of any kind states. A charge-level fact never overrides the invoice's own amount, and a fact
 * without an amount keeps the known one.
 */
export function paymentFrom(
  before: PaymentState | undefined,
  fact: PaymentFact & StatedMoney,
  invoiceId: string,
): PaymentState {
  const { amountMinor, currency } = before ?? { amountMinor: 0, currency: null }
  const isAuthoritative = fact.invoiceId !== null || currency === null
  const money: Pick<PaymentState, "amountMinor" | "currency"> =
    isAuthoritative && hasAmount(fact) ? fact : { amountMinor, currency }
  return {
    ...before,
    invoiceId,
    subscriptionId: fact.subscriptionId ?? before?.subscriptionId ?? null,
    status: before?.status ?? "failed",
    amountMinor: money.amountMinor,
    currency: money.currency,
    refs: before?.refs ?? [],
    isFirstInvoice: before?.isFirstInvoice ?? false,
    needsAuthentication: before?.needsAuthentication ?? false,
    declineCode: before?.declineCode ?? null,
    failedAt: before?.failedAt ?? null,
    paidAt: before?.paidAt ?? null,
    how: before?.how ?? null,
    refundedMinor: before?.refundedMinor ?? 0,
  }
}

/** The payment with the details that a fact states. */
export const withDetails = (
  payment: PaymentState,
  { billing, collection, period }: Pick<BillDetails, "billing" | "collection" | "period">,
): PaymentState => ({
  ...payment,
  ...(billing !== undefined && { billing }),
  ...(collection !== undefined && { collection }),
  ...(period !== undefined && { period }),
})

/** Whether the event states its amount. */
export const hasAmount = <T extends StatedMoney>(fact: T): fact is T & Money =>
  fact.amountMinor !== null && fact.currency !== null

/** Whether nothing was to be paid. An unknown amount is not zero. */
export const isFree = ({ amountMinor, currency }: PaymentState): boolean => currency !== null && amountMinor === 0
