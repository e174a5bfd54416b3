/**
 * Stripe's list of events, and its current subscriptions. Events are listed for 30 days, in the API version of their own
 * time (docs.stripe.com/api/events/list); thin events are not among them. Called without the package's types, which would
 * turn decimals into objects that a webhook does not contain.
 */
import type Stripe from "stripe"
import * as z from "zod"
import { utf8 } from "../../../../shared/crypto/bytes.ts"
import {
  type HistoricalEvent,
  type HistoryPage,
  type ProviderApi,
  ProviderApiError,
  type ProviderSubscription,
} from "../../../../shared/provider.ts"
import { pruneToBounds } from "../../json.ts"
import { readEnvelope } from "../events/envelope.ts"
import { idOf } from "../events/fields.ts"
import { API_VERSION, apiErrorOf, callStripe, isStripeError } from "./client.ts"

/** Stripe's own bound of a page. */
const LIMIT_MAX = 100

/** Days that the event list reaches back. */
export const EVENT_LIST_DAYS = 30

const listReply = z.lazy(() => z.object({ data: z.array(z.looseObject({ id: z.string() })), has_more: z.boolean() }))
const subscriptionReply = z.looseObject({ id: z.string(), object: z.literal("subscription") })

/** A request with the account that it is made for; null: the key's own. */
type Request<Name extends "listEvents" | "listSubscriptions" | "findSubscription"> = Parameters<
  ProviderApi[Name]
>[0] & { readonly account: string | null }

/** A page of `GET /v1/events`, newest first. */
export async function listEvents(stripe: Stripe, request: Request<"listEvents">): Promise<HistoryPage> {
  const { since, until, cursor, limit, account } = request
  const query = new URLSearchParams({
    "created[gte]": String(Math.floor(since.getTime() / 1000)),
    "created[lte]": String(Math.floor(until.getTime() / 1000)),
  })
  const page = await readPage(stripe, "events", query, { cursor, limit })
  return {
    events: page.data
      .filter((event) => isOf(account, event.account))
      .map((event) => toHistorical(account === null ? event : { ...event, account })),
    cursor: page.cursor,
  }
}

/** A page of `GET /v1/subscriptions`, which leaves out those that are canceled. */
export async function listSubscriptions(stripe: Stripe, request: Request<"listSubscriptions">) {
  const { cursor, limit, account } = request
  const page = await readPage(stripe, "subscriptions", new URLSearchParams(), { cursor, limit })
  return { subscriptions: page.data.map((object) => asSubscription(object, account)), cursor: page.cursor }
}

/** One subscription, canceled or not; null: Stripe has none with that id. */
export async function findSubscription(
  stripe: Stripe,
  { subscriptionId, account }: Request<"findSubscription">,
): Promise<ProviderSubscription | null> {
  if (idOf(subscriptionId) === null) return null
  const object = await callStripe("reading subscription", async () => {
    try {
      return await get(stripe, `/v1/subscriptions/${encodeURIComponent(subscriptionId)}`)
    } catch (error) {
      if (isStripeError(error, 404)) return null
      throw error
    }
  })
  if (object === null) return null
  const subscription = readable(subscriptionReply, object)
  if (subscription.id !== subscriptionId) throw apiErrorOf("the answer is about another subscription")
  return asSubscription(subscription, account)
}

/** Whether an event names this account, or none: when listed for an account, it may not name it. */
const isOf = (account: string | null, named: unknown): boolean =>
  named === undefined || named === null || named === account

interface Paging {
  readonly cursor: string | null
  readonly limit: number
}

async function readPage(stripe: Stripe, collection: string, query: URLSearchParams, { cursor, limit }: Paging) {
  query.set("limit", String(Math.min(limit, LIMIT_MAX)))
  if (cursor !== null) query.set("starting_after", cursor)
  const reply = await callStripe(`listing ${collection}`, () => get(stripe, `/v1/${collection}?${query}`))
  const { data, has_more: hasMore } = readable(listReply, reply)
  return { data, cursor: hasMore ? (data.at(-1)?.id ?? null) : null }
}

const get = (stripe: Stripe, path: string): Promise<unknown> => stripe.rawRequest("GET", path)

/** A 200 with an unexpected body counts as no answer. */
function readable<T>(schema: z.ZodType<T>, reply: unknown): T {
  const parsed = schema.safeParse(reply)
  if (parsed.success) return parsed.data
  throw new ProviderApiError("stripe: answer not readable", { retry: true, status: 200 })
}

function toHistorical(event: { readonly id: string } & Readonly<Record<string, unknown>>): HistoricalEvent {
  const envelope = readEnvelope(event, new Date(0))
  return {
    providerEventId: event.id,
    // Without a readable envelope the body is reported as unreadable later, and its time is not used.
    occurredAt: envelope.ok ? envelope.value.occurredAt : new Date(0).toISOString(),
    type: envelope.ok ? envelope.value.type : "unreadable",
    rawBody: utf8(JSON.stringify(pruneToBounds(event))),
    headers: new Headers(),
  }
}

const ENDED = ["canceled", "incomplete_expired"]

function asSubscription(
  object: { readonly id: string } & Readonly<Record<string, unknown>>,
  account: string | null,
): ProviderSubscription {
  const hasEnded = typeof object.status === "string" && ENDED.includes(object.status)
  return {
    subscriptionId: object.id,
    toEvent: ({ id, at, isRevived }) =>
      toHistorical({
        id,
        object: "event",
        api_version: API_VERSION,
        created: Math.floor(at.getTime() / 1000),
        type: `customer.subscription.${hasEnded ? "deleted" : isRevived ? "resumed" : "updated"}`,
        ...(account !== null && { account }),
        data: { object },
      }),
  }
}
