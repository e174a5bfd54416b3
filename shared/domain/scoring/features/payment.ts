/** Payment features: failures, recoveries, refunds, disputes, price class. */
import { declineAdvice } from "../../recovery/decline-codes.ts"
import { type PaymentState, paymentOf } from "../../state.ts"
import { priceClassOf } from "./prices.ts"
import type { Features } from "./schema.ts"
import { mainSubscription } from "./tenure.ts"
import { countWithin, daysSince, daysSinceLast, factsOf, type LedgerView } from "./view.ts"

type Payment = Pick<
  Features,
  | "payments"
  | "failed_invoices_30d"
  | "failed_invoices_90d"
  | "failed_attempts_30d"
  | "unrecovered_invoices_30d"
  | "unrecovered_invoices_90d"
  | "recovered_invoices_90d"
  | "failure_share_365d"
  | "days_since_failure"
  | "new_card_needed"
  | "new_card_90d"
  | "refunds_180d"
  | "disputes_365d"
  | "price_class"
>

/** The payment features of a customer. Each invoice counts once, however many facts it has. */
export function paymentFeatures(view: LedgerView): Payment {
  const invoices = Object.values(view.state.payments)
  const failed = (days: number) => invoices.filter(({ failedAt }) => isWithin(view, failedAt, days))
  const isOpen = ({ status }: PaymentState) => status === "failed" || status === "uncollectible"
  const failures = factsOf(view, "payment_failed")
  const lastFailure = failures.at(-1)
  const year = invoices.filter(({ failedAt, paidAt }) => isWithin(view, failedAt ?? paidAt, 365))
  const cards = [...factsOf(view, "payment_method_added"), ...factsOf(view, "payment_method_updated_by_provider")]
  const main = mainSubscription(view)
  const hasNewCard = lastFailure !== undefined && cards.some(({ occurredAt }) => occurredAt >= lastFailure.occurredAt)
  return {
    payments: invoices.filter(({ status, amountMinor }) => status === "succeeded" && amountMinor > 0).length,
    failed_invoices_30d: failed(30).length,
    failed_invoices_90d: failed(90).length,
    failed_attempts_30d: attemptsWithin(view, 30),
    unrecovered_invoices_30d: failed(30).filter(isOpen).length,
    unrecovered_invoices_90d: failed(90).filter(isOpen).length,
    recovered_invoices_90d: failed(90).filter(({ status }) => status === "succeeded").length,
    failure_share_365d:
      year.length === 0 ? null : year.filter(({ failedAt }) => failedAt !== null).length / year.length,
    days_since_failure: daysSinceLast(view, failures),
    new_card_needed: Number(
      lastFailure !== undefined &&
        !hasNewCard &&
        paymentOf(view.state, lastFailure.invoiceId)?.status !== "succeeded" &&
        !declineAdvice(lastFailure.declineCode).providerRetries,
    ),
    new_card_90d: Number(countWithin(view, cards, 90) > 0),
    refunds_180d: distinct(
      factsOf(view, "payment_refunded"),
      (fact) => fact.invoiceId ?? fact.chargeId ?? fact.id,
    ).filter(({ occurredAt }) => daysSince(view, occurredAt) <= 180).length,
    disputes_365d: distinct(factsOf(view, "dispute_opened"), ({ disputeId }) => disputeId).filter(
      ({ occurredAt }) => daysSince(view, occurredAt) <= 365,
    ).length,
    price_class: main ? priceClassOf(main) : null,
  }
}

const isWithin = (view: LedgerView, at: string | null, days: number): boolean =>
  at !== null && daysSince(view, at) <= days

/** The invoice and the charge both report an attempt, so the larger of both counts is used. */
function attemptsWithin(view: LedgerView, days: number): number {
  const recent = factsOf(view, "payment_failed").filter(({ occurredAt }) => daysSince(view, occurredAt) <= days)
  const charges = recent.filter(({ invoiceId, attempt }) => invoiceId === null || attempt === null)
  return Math.max(charges.length, recent.length - charges.length)
}

/** The first fact for each name. */
function distinct<T>(facts: readonly T[], nameOf: (fact: T) => string): T[] {
  const seen = new Map<string, T>()
  for (const fact of facts) if (!seen.has(nameOf(fact))) seen.set(nameOf(fact), fact)
  return [...seen.values()]
}
