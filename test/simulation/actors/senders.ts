/** Providers as senders of webhooks: signed, retried by each provider's own schedule, then given up. */
import { createHmac } from "node:crypto"
import { APP_URL, secret } from "../world/targets.ts"
import type { World } from "../world/world.ts"
import type { ScheduledEvent } from "./event-writers.ts"

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** Stripe retries for three days with growing waits; Whop three times within 70 seconds. */
const WAITS_MS = {
  stripe: [MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS].concat(
    Array.from({ length: 4 }, () => 12 * HOUR_MS),
  ),
  whop: [10 * SECOND_MS, 20 * SECOND_MS, 40 * SECOND_MS],
} as const

/** How long each waits for an answer. Whop does not document it; five seconds are assumed. */
const TIMEOUT_MS = { stripe: 10 * SECOND_MS, whop: 5 * SECOND_MS } as const

/** The delivery of an event, as its sender sees it. */
export interface Delivery {
  readonly webhook: ScheduledEvent
  readonly provider: "stripe" | "whop"
  readonly company: string
  /** The company's own endpoint, or the shared one. */
  readonly path: string
  attempts: number
  /** Answered 2xx: from then on it must not be lost. */
  isAcknowledged: boolean
  isGivenUp: boolean
}

/** Sends an event now, and retries until it is acknowledged or given up. */
export async function sendEvent(world: World, delivery: Delivery): Promise<void> {
  const { provider, webhook, path } = delivery
  delivery.attempts += 1
  const answer = await world.send({
    name: `${provider} ${webhook.type} ${webhook.id}${delivery.attempts > 1 ? ` try ${delivery.attempts}` : ""}`,
    method: "POST",
    url: `${APP_URL}${path}`,
    headers: signed(delivery, Math.floor(world.runtime.worldMs / SECOND_MS)),
    body: webhook.body,
    timeoutMs: TIMEOUT_MS[provider],
  })
  if (answer !== null && answer.status >= 200 && answer.status < 300) {
    delivery.isAcknowledged = true
    return
  }
  const waitMs = WAITS_MS[provider][delivery.attempts - 1]
  if (waitMs === undefined) {
    delivery.isGivenUp = true
    world.note(`${provider} gives up ${webhook.id}`)
    return
  }
  world.runtime.agenda.put(
    world.runtime.worldMs + waitMs,
    "provider tries again",
    () => void sendEvent(world, delivery),
  )
}

function signed({ provider, webhook }: Delivery, timestamp: number): Record<string, string> {
  const json = { "content-type": "application/json" }
  if (provider === "stripe") {
    const mac = createHmac("sha256", secret("stripe-webhook-secret"))
      .update(`${timestamp}.${webhook.body}`)
      .digest("hex")
    return { ...json, "stripe-signature": `t=${timestamp},v1=${mac}` }
  }
  const mac = createHmac("sha256", secret("whop-webhook-secret"))
    .update(`${webhook.id}.${timestamp}.${webhook.body}`)
    .digest("base64")
  return {
    ...json,
    "webhook-id": webhook.id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${mac}`,
  }
}
