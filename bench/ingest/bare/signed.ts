/** The bare endpoint with the shortest correct check of Stripe's signature. */
import { Hono } from "hono"
import { type BareEnv, insertEvent } from "./store.ts"

const TOLERANCE_SECONDS = 300

let key: CryptoKey | undefined

export default new Hono<{ Bindings: BareEnv }>().post("/api/webhooks/stripe", async (c) => {
  const body = await c.req.text()
  if (!(await isSigned(c.env.STRIPE_WEBHOOK_SECRET, c.req.header("stripe-signature") ?? "", body))) {
    return c.json({ error: "signature" }, 401)
  }
  await insertEvent(c.env, body)
  return c.json({ received: true })
})

async function isSigned(secret: string, header: string, body: string): Promise<boolean> {
  const timestamp = /(?:^|,)t=(\d+)/.exec(header)?.[1]
  const signature = /(?:^|,)v1=([0-9a-f]{64})/.exec(header)?.[1]
  if (timestamp === undefined || signature === undefined) return false
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false

  const encoder = new TextEncoder()
  const hmac = { name: "HMAC", hash: "SHA-256" }
  key ??= await crypto.subtle.importKey("raw", encoder.encode(secret), hmac, false, ["verify"])
  const bytes = Uint8Array.from(signature.match(/../g) ?? [], (hex) => Number.parseInt(hex, 16))
  return crypto.subtle.verify("HMAC", key, bytes, encoder.encode(`${timestamp}.${body}`))
}
