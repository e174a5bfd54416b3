/** Events as the providers send them, signed as they sign. Stripe's signatures are made by its own package. */
import { createHmac } from "node:crypto"
import Stripe from "stripe"
import { world, worldNow } from "../world/world.ts"

export { envelope, type InvoiceOptions, invoiceEvent, uniqueId as fresh } from "./events.ts"

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

/** Posts a Stripe event (or a raw body) to the Worker, signed now unless `options` differ. */
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
