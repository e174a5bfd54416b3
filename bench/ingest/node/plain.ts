/** A plain Node handler: Stripe's signature, and one insert over a pool of TCP connections. */
import { createHmac, timingSafeEqual } from "node:crypto"
import pg from "pg"
import { serveWebhooks, variable } from "./serve.ts"

const CONNECTIONS = 10

const pool = new pg.Pool({ connectionString: variable("DATABASE_URL"), max: CONNECTIONS })
const secret = variable("STRIPE_WEBHOOK_SECRET")

serveWebhooks(async (body, header) => {
  const timestamp = /(?:^|,)t=(\d+)/.exec(header)?.[1] ?? ""
  const signature = /(?:^|,)v1=([0-9a-f]{64})/.exec(header)?.[1]
  const expected = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest()
  if (signature === undefined || !timingSafeEqual(Buffer.from(signature, "hex"), expected)) return false

  const text = body.toString("utf8")
  const { id, type } = JSON.parse(text) as { readonly id: string; readonly type: string }
  await pool.query({
    name: "insert-event",
    text: "insert into bench_events (id, type, payload) values ($1, $2, $3::jsonb) on conflict do nothing",
    values: [id, type, text],
  })
  return true
})
