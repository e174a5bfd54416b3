/** The provider's objects and events, and comparisons with them over HTTP. */
import { putProviderObject } from "../world/external-services.ts"
import { api, sql } from "../world/world.ts"

export const MINUTE_MS = 60_000
export const DAY_MS = 86_400_000

export type Event = { readonly id: string } & Record<string, unknown>

/** Adds events to Stripe's list, whether or not they are ever delivered. */
export async function putEvents(events: readonly Event[]): Promise<void> {
  for (let start = 0; start < events.length; start += 20)
    await Promise.all(
      events.slice(start, start + 20).map((event) => putProviderObject("stripe", "events", event.id, event)),
    )
}

export interface ReportBody {
  readonly id: string
  readonly kind: string
  readonly checked: number
  readonly missing: number
  readonly fetched: number
  readonly outOfReach: number
  readonly differences: number
  readonly repaired: number
  readonly isComplete: boolean
  readonly details: {
    readonly outOfReach: readonly Readonly<Record<string, unknown>>[]
    readonly differences: readonly { readonly subscriptionId: string; readonly field: string }[]
    readonly stoppedBy: string | null
  }
}

export type ReconcileAnswer = Omit<ReportBody, "id" | "kind" | "details"> & { readonly data: readonly ReportBody[] }

/** Compares now, one step. */
export const reconcile = (request: object = {}, init: { readonly key?: string } = {}) =>
  api<ReconcileAnswer>("/api/reconciliations", {
    ...init,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  })

/** Runs steps until the comparison is complete; returns the last report of each pass. */
export async function reconcileFully(request: object = { provider: "stripe" }): Promise<readonly ReportBody[]> {
  const reports = new Map<string, ReportBody>()
  for (let steps = 0; steps < 10; steps++) {
    const { body } = await reconcile(request)
    for (const report of body.data) reports.set(report.id, report)
    if (body.isComplete) return [...reports.values()]
  }
  throw new Error("ten steps were not enough")
}

/** The provider's ids of all events that are recorded, sorted. */
export const recordedIds = async (): Promise<readonly string[]> =>
  (await sql<{ id: string }>("select provider_event_id as id from webhook_event_keys")).map(({ id }) => id).sort()

/** A subscription in the shape of the pinned API version. */
export function subscriptionObject(given: {
  readonly id: string
  readonly customer: string
  readonly now: Date
  readonly periodEnd?: Date
  readonly quantity?: number
  readonly amount?: number
  readonly price?: string
  readonly [field: string]: unknown
}): Record<string, unknown> {
  const { id, customer, now, periodEnd, quantity = 1, amount = 1999, price = "price_1", ...more } = given
  const seconds = (at: Date) => Math.floor(at.getTime() / 1000)
  return {
    ...{ id, object: "subscription", customer, status: "active", currency: "usd" },
    ...{ cancel_at: null, cancel_at_period_end: false, trial_end: null, ended_at: null, pause_collection: null },
    start_date: seconds(now) - 90 * 86_400,
    items: {
      object: "list",
      data: [
        {
          id: `si_${id}`,
          quantity,
          current_period_end: seconds(periodEnd ?? new Date(now.getTime() + 20 * DAY_MS)),
          price: {
            ...{ id: price, product: "prod_1", unit_amount: amount, currency: "usd" },
            recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
          },
        },
      ],
    },
    ...more,
  }
}
