/** Stripe's events as values. */

let serial = 0

/** An unused id. */
export const uniqueId = (prefix: string): string => `${prefix}_${Date.now().toString(36)}${(serial++).toString(36)}`

export interface InvoiceOptions {
  readonly type: string
  readonly at: Date
  readonly id?: string
  readonly customer: string
  readonly invoice: string
  readonly subscription?: string
  readonly amount?: number
  readonly attempt?: number
  readonly nextAttempt?: Date | null
  readonly billingReason?: string
  readonly more?: Readonly<Record<string, unknown>>
}

const seconds = (at: Date): number => Math.floor(at.getTime() / 1000)

/** An invoice event in the shape of the pinned API version (constructed from the package's types). */
export function invoiceEvent(options: InvoiceOptions): Record<string, unknown> & { id: string } {
  const { type, at, customer, invoice, subscription = `sub_of_${customer}`, amount = 1999 } = options
  const isPaid = type === "invoice.paid" || type === "invoice.payment_succeeded"
  return envelope(type, at, options.id ?? uniqueId("evt"), {
    id: invoice,
    object: "invoice",
    customer,
    customer_email: `${customer}@example.com`,
    customer_name: "Ann Example",
    amount_due: amount,
    amount_paid: isPaid ? amount : 0,
    amount_remaining: isPaid ? 0 : amount,
    currency: "usd",
    attempt_count: options.attempt ?? 1,
    next_payment_attempt:
      options.nextAttempt === null ? null : seconds(options.nextAttempt ?? new Date(at.getTime() + 3 * 86_400_000)),
    billing_reason: options.billingReason ?? "subscription_cycle",
    collection_method: "charge_automatically",
    status: isPaid ? "paid" : "open",
    hosted_invoice_url: "https://invoice.stripe.com/i/acct_1/test",
    parent: { type: "subscription_details", subscription_details: { subscription } },
    ...options.more,
  })
}

/** Any Stripe event around an object. */
export const envelope = (
  type: string,
  at: Date,
  id: string,
  object: Record<string, unknown>,
  previous?: Record<string, unknown>,
) => ({
  id,
  object: "event",
  api_version: "2026-10-28.endive",
  created: seconds(at),
  livemode: false,
  pending_webhooks: 1,
  request: { id: null, idempotency_key: null },
  type,
  data: { object, ...(previous && { previous_attributes: previous }) },
})
