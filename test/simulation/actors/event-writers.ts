/** Builders of a provider's events about one customer; time, id and customer are given when the event is written. */
import { envelope, invoiceEvent } from "../../support/events/events.ts"

/** The customer of a scenario. The tag makes all ids unique. */
export interface ScenarioCustomer {
  readonly tag: string
  readonly company: string
}

/** One event of a provider, as it is sent. */
export interface ScheduledEvent {
  readonly id: string
  readonly type: string
  readonly body: string
}

/** Writes an event for a time, an id and a customer. */
export type EventWriter = (
  at: Date,
  id: string,
  who: ScenarioCustomer,
) => { readonly id: string; readonly type: string }

const seconds = (at: Date): number => Math.floor(at.getTime() / 1_000)
const AMOUNT = { amount: 1_999, currency: "usd" }

interface InvoiceOptions {
  readonly n?: number
  readonly attempt?: number
  readonly charge?: boolean
  readonly intent?: boolean
  readonly next?: Date | null
  readonly more?: Readonly<Record<string, unknown>>
}

export const invoice =
  (type: string, { n = 1, attempt = 1, charge, intent, next, more }: InvoiceOptions = {}): EventWriter =>
  (at, id, { tag }) =>
    invoiceEvent({
      type: `invoice.${type}`,
      ...{ at, id, attempt },
      customer: `cus_${tag}`,
      invoice: `in_${tag}_${n}`,
      subscription: `sub_${tag}`,
      ...(next !== undefined && { nextAttempt: next }),
      more: {
        ...(charge && { charge: `ch_${tag}_${n}` }),
        ...(intent && { payment_intent: `pi_${tag}_${n}` }),
        ...more,
      },
    }) as unknown as { id: string; type: string } // the builder's type does not declare its fields

export const charge =
  (
    type: string,
    code: string | null,
    { names = "invoice", n = 1, outcome = "failed" }: ChargeOptions = {},
  ): EventWriter =>
  (at, id, { tag }) =>
    envelope(`charge.${type}`, at, id, {
      id: `ch_${tag}_${n}`,
      object: "charge",
      ...(names !== "nothing" && { customer: `cus_${tag}` }),
      ...(names === "invoice" && { invoice: `in_${tag}_${n}` }),
      ...AMOUNT,
      amount_refunded: type === "refunded" ? AMOUNT.amount : 0,
      refunded: type === "refunded",
      status: outcome,
      paid: outcome === "succeeded",
      failure_code: code === null ? null : "card_declined",
      outcome: code === null ? null : { reason: code, type: "issuer_declined" },
    })

interface ChargeOptions {
  readonly names?: "invoice" | "customer" | "nothing"
  readonly n?: number
  readonly outcome?: "failed" | "succeeded"
}

export const dispute =
  (type: string, status: string): EventWriter =>
  (at, id, { tag }) =>
    envelope(`charge.dispute.${type}`, at, id, {
      ...{ id: `dp_${tag}`, object: "dispute", charge: `ch_${tag}_1`, status, reason: "general", ...AMOUNT },
    })

interface SubscriptionOptions {
  readonly status?: string
  readonly cancels?: boolean
  readonly previous?: Readonly<Record<string, unknown>>
  readonly more?: (at: Date) => Readonly<Record<string, unknown>>
}

export const subscription =
  (type: string, { status = "active", cancels = false, previous, more }: SubscriptionOptions = {}): EventWriter =>
  (at, id, { tag }) =>
    envelope(
      `customer.subscription.${type}`,
      at,
      id,
      {
        id: `sub_${tag}`,
        object: "subscription",
        customer: `cus_${tag}`,
        status,
        currency: "usd",
        cancel_at_period_end: cancels,
        cancel_at: null,
        // Fixed, so that it is the same at any times of the scenario.
        start_date: Date.UTC(2026, 7, 1) / 1_000,
        ended_at: type === "deleted" ? seconds(at) : null,
        items: {
          object: "list",
          data: [
            {
              id: `si_${tag}`,
              quantity: 1,
              current_period_end: Date.UTC(2027, 0, 1) / 1_000,
              price: {
                ...{ id: `price_${tag}`, product: `prod_${tag}`, unit_amount: 1999, currency: "usd" },
                recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
              },
            },
          ],
        },
        ...more?.(at),
      },
      previous,
    )

export const customer =
  (type: string, details: Readonly<Record<string, unknown>> = {}): EventWriter =>
  (at, id, { tag }) =>
    envelope(`customer.${type}`, at, id, {
      id: `cus_${tag}`,
      object: "customer",
      ...{ name: "Ann Example", email: `cus_${tag}@example.com`, phone: null, preferred_locales: [], metadata: {} },
      ...details,
    })

export const intent =
  (type: string): EventWriter =>
  (at, id, { tag }) =>
    envelope(`payment_intent.${type}`, at, id, {
      ...{ id: `pi_${tag}_1`, object: "payment_intent", customer: `cus_${tag}`, status: type, ...AMOUNT },
      last_payment_error: type === "payment_failed" ? { code: "card_declined", decline_code: "do_not_honor" } : null,
    })

export const card =
  (type: string): EventWriter =>
  (at, id, { tag }) =>
    envelope(`payment_method.${type}`, at, id, {
      ...{ id: `pm_${tag}`, object: "payment_method", customer: `cus_${tag}`, type: "card" },
    })

/** Part of the invoice is credited. */
export const credited: EventWriter = (at, id, { tag }) =>
  envelope("credit_note.created", at, id, {
    ...{ id: `cn_${tag}`, object: "credit_note", customer: `cus_${tag}`, invoice: `in_${tag}_1` },
    ...{ amount: 500, currency: "usd", status: "issued", type: "pre_payment" },
  })

/** A part payment of the invoice, besides the automatic charge. */
export const partPaid: EventWriter = (at, id, { tag }) =>
  envelope("invoice_payment.paid", at, id, {
    ...{ id: `inpay_${tag}`, object: "invoice_payment", invoice: `in_${tag}_1`, is_default: false },
    ...{ amount_paid: 300, amount_requested: 300, currency: "usd", status: "paid" },
    payment: { type: "payment_intent", payment_intent: `pi_${tag}_part` },
  })

/** The invoice with its new amount. */
export const amountReduced = invoice("updated", {
  more: { amount_due: 1_499, amount_remaining: 1_199, amount_paid: 300, pre_payment_credit_notes_amount: 500 },
})

export const announced = subscription("updated", { cancels: true, previous: { cancel_at_period_end: false } })
export const withdrawn = subscription("updated", { previous: { cancel_at_period_end: true } })
export const failed = invoice("payment_failed")
export const failedAgain = invoice("payment_failed", { attempt: 2 })
export const gaveUp = invoice("payment_failed", { attempt: 4, next: null })
export const paid = invoice("paid")
export const paidByCharge = invoice("paid", { charge: true })
export const reason = charge("failed", "insufficient_funds")

/** An event with a fixed time. */
export const inOneSecond =
  (writer: EventWriter): EventWriter =>
  (_, id, who) =>
    writer(new Date(Date.UTC(2026, 9, 27, 9)), id, who)
