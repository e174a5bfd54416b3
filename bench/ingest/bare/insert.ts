/** The minimal webhook endpoint: no signature check and one insert. */
import { Hono } from "hono"
import { type BareEnv, insertEvent } from "./store.ts"

export default new Hono<{ Bindings: BareEnv }>().post("/api/webhooks/stripe", async (c) => {
  await insertEvent(c.env, await c.req.text())
  return c.json({ received: true })
})
