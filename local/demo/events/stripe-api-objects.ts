/** Keeps the subscriptions of Stripe's local API as the events describe them, so that a discount can be applied. */
import { z } from "zod"
import { DemoError, request } from "../http.ts"
import type { ScheduledEvent } from "./event-builder.ts"

const event = z.object({ data: z.object({ object: z.looseObject({ id: z.string() }) }) })
const stored = z.looseObject({ discounts: z.array(z.unknown()).default([]) })

/** Applies the events of subscriptions in their order. `account`: of a company's own key; null: the world's. */
export async function updateSubscriptions(
  stripeUrl: string,
  account: string | null,
  events: readonly ScheduledEvent[],
): Promise<void> {
  for (const { provider, type, body } of events) {
    if (provider !== "stripe" || !type.startsWith("customer.subscription.")) continue
    const { object } = event.parse(JSON.parse(body)).data
    const url = `${stripeUrl}/__objects/subscriptions/${object.id}`
    const before = await request(url)
    const { discounts } = before.ok ? stored.parse(await before.json()) : { discounts: [] }
    const after = { ...object, discounts, ...(account !== null && { account }) }
    const response = await request(url, { method: "PUT", body: JSON.stringify(after) })
    if (!response.ok) throw new DemoError(`Stripe's local API answered ${response.status} to ${object.id}.`)
  }
}
