/** Events as the providers send them, signed as they sign. Stripe's signatures are made by its own package. */
import { createHmac } from "node:crypto"
import Stripe from "stripe"
import { world, worldNow } from "./world.ts"

let serial = 0

/** An id nobody has used yet. */
export const fresh = (prefix: string): string => `${prefix}_${Date.now().toString(36)}${(serial++).toString(36)}`

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

export interface SendOptions {
  /** Replaces the signature header; null leaves it out. */
  readonly signature?: string | null
  readonly secret?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

export const stripeSecrets = (): readonly string[] => (world().vars.STRIPE_WEBHOOK_SECRET ?? "").split(",")

/** `Stripe-Signature` for a body, at a time in seconds. */
export function stripeSignature(
  payload: string,
  timestamp: number,
  secret = stripeSecrets()[0] ?? "",
): Promise<string> {
  return Stripe.webhooks.generateTestHeaderStringAsync({ payload, secret, timestamp })
}

/** Posts a Stripe event (or a raw body) to the Worker, signed now unless said otherwise. */
export async function sendStripe(event: unknown, options: SendOptions = {}): Promise<Answer> {
  const body = typeof event === "string" ? event : JSON.stringify(event)
  const timestamp = Math.floor((await worldNow()).getTime() / 1000)
  const signature =
    options.signature === undefined ? await stripeSignature(body, timestamp, options.secret) : options.signature
  return post(options.path ?? "/api/webhooks/stripe", body, {
    ...(signature !== null && { "stripe-signature": signature }),
    ...options.headers,
  })
}

/** Posts a Whop event to the Worker, signed as its SDK verifies: the whole secret is the key. */
export async function sendWhop(event: { readonly id: string } & Record<string, unknown>): Promise<Answer> {
  const body = JSON.stringify(event)
  const timestamp = Math.floor((await worldNow()).getTime() / 1000)
  const secret = world().vars.WHOP_WEBHOOK_SECRET ?? ""
  return post("/api/webhooks/whop", body, whopHeaders({ id: event.id, body, timestamp, secret }))
}

/** The headers with which Whop signs a body, at a time in seconds. */
export function whopHeaders(delivery: {
  readonly id: string
  readonly body: string
  readonly timestamp: number
  readonly secret: string
}): Record<string, string> {
  const { id, body, timestamp, secret } = delivery
  const mac = createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64")
  return { "webhook-id": id, "webhook-timestamp": String(timestamp), "webhook-signature": `v1,${mac}` }
}

/** Posts any body to the Worker. */
export async function post(path: string, body: BodyInit, headers: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${world().workerUrl}${path}`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : { text },
  }
}

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
  return envelope(type, at, options.id ?? fresh("evt"), {
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
