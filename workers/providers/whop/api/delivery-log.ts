/**
 * What Whop itself says happened. First choice is the delivery log of our own endpoints: the very bodies that were sent, for
 * 30 days (docs.whop.com/api-reference/webhooks/list-deliveries; fields as in whopsdk-python, `WebhookListDeliveriesResponse`).
 * A key that may not read it (`developer:manage_webhook`), or an account without an endpoint of ours of version v1, leaves
 * payments, refunds and disputes, written as the webhooks they would have been. All of it is built from published types and
 * documents; none of it was tried against an account.
 */
import * as z from "zod"
import { utf8 } from "../../../../shared/crypto/bytes.ts"
import {
  type HistoricalEvent,
  type HistoryPage,
  type ProviderApi,
  ProviderApiError,
} from "../../../../shared/provider.ts"
import { isOfCompany } from "../facts/envelope.ts"
import { idOf, instantOf, type JsonObject } from "../facts/fields.ts"
import { asSubscription, disputeEvents, paymentEvents, refundEvents, type WhopObject } from "./events-from-objects.ts"

/** Days that deliveries are kept. */
export const EVENT_LIST_DAYS = 30

/** A page of deliveries carries whole bodies; this many stay well below what we read of one answer. */
const LIMIT_MAX = 50

/** An account has a handful of endpoints; more than a page of them are not looked at. */
const ENDPOINTS_MAX = 50

/** Asks Whop; null: it knows no such thing. Throws `ProviderApiError`. */
export type WhopGet = <T>(request: { readonly path: string; readonly reply: z.ZodType<T> }) => Promise<T | null>

/** The same for one object, which must be the company's. */
export type WhopGetObject = <T extends JsonObject>(request: {
  readonly path: string
  readonly reply: z.ZodType<T>
}) => Promise<T | null>

export interface WhopHistoryOptions {
  /** The company whose history is asked for; null: whichever the key belongs to. */
  readonly companyId: string | null
  /** Where our own endpoint is: deliveries to any other are none of ours. */
  readonly webhookUrl: string | null
}

const pageInfo = z.object({ end_cursor: z.string().nullish(), has_next_page: z.boolean().nullish() })
const pageOf = <T extends z.ZodType>(item: T) => z.object({ data: z.array(item), page_info: pageInfo })

const objects = pageOf(z.looseObject({ id: z.string() }))
const endpoints = pageOf(
  z.looseObject({ id: z.string(), api_version: z.string(), url: z.string(), enabled: z.boolean() }),
)
const deliveries = pageOf(z.looseObject({ request_body: z.unknown(), sent_at: z.string() }))
const body = z.looseObject({ id: z.string(), type: z.string(), timestamp: z.string() })

/** What can be read one after the other, and where the first of it goes on. */
const position = z.object({ sources: z.array(z.string()).min(1), after: z.string().nullable() })
type Position = z.output<typeof position>

const OBJECT_SOURCES = { payments: paymentEvents, refunds: refundEvents, disputes: disputeEvents } as const
type ObjectSource = keyof typeof OBJECT_SOURCES
const LOG = "log:"

type HistoryApi = Pick<ProviderApi, "listEvents" | "listSubscriptions" | "findSubscription">
type EventsRequest = Parameters<HistoryApi["listEvents"]>[0]

/** The part of the API that reads history. */
export function whopHistory(
  { ask, askObject }: { readonly ask: WhopGet; readonly askObject: WhopGetObject },
  { companyId, webhookUrl }: WhopHistoryOptions,
): HistoryApi {
  const asked = async <T>(path: string, reply: z.ZodType<T>): Promise<T> => {
    const answer = await ask({ path, reply })
    if (answer === null) throw new ProviderApiError("Whop: no such list", { retry: false, status: 404 })
    return answer
  }
  const scoped = (limit: number, after: string | null): URLSearchParams => {
    const query = new URLSearchParams({ first: String(Math.min(limit, LIMIT_MAX)) })
    if (companyId !== null) query.set("company_id", companyId)
    if (after !== null) query.set("after", after)
    return query
  }

  /** Our endpoints whose log can be read; none where Whop does not let this key see them. */
  async function ownEndpoints() {
    if (webhookUrl === null) return []
    try {
      const { data } = await asked(`/webhooks?${scoped(ENDPOINTS_MAX, null)}`, endpoints)
      return data.filter(
        ({ id, api_version: version, url }) => idOf(id) !== null && version === "v1" && isWithin(url, webhookUrl),
      )
    } catch (error) {
      if (error instanceof ProviderApiError && [401, 403, 404].includes(error.status ?? 0)) return []
      throw error
    }
  }

  /** The logs of our endpoints. Without one, or while none of them is sent anything, the objects. */
  async function start(): Promise<Position> {
    const own = await ownEndpoints()
    const logs = own.map(({ id }) => `${LOG}${id}`)
    const isListening = own.some(({ enabled }) => enabled)
    return { sources: isListening ? logs : [...logs, ...Object.keys(OBJECT_SOURCES)], after: null }
  }

  /** Deliveries go back in time, so the first that is too old ends the log. */
  async function readLog(endpoint: string, { since, until, limit }: EventsRequest, after: string | null) {
    const query = new URLSearchParams({ first: String(Math.min(limit, LIMIT_MAX)), ...(after !== null && { after }) })
    const { data, page_info: info } = await asked(
      `/webhooks/${encodeURIComponent(endpoint)}/deliveries?${query}`,
      deliveries,
    )
    const sentAt = (entry: (typeof data)[number]) => Date.parse(instantOf(entry.sent_at) ?? "")
    const within = data.filter((entry) => sentAt(entry) >= since.getTime() && sentAt(entry) <= until.getTime())
    const isAtEnd = data.some((entry) => sentAt(entry) < since.getTime())
    const events = new Map(
      within
        .flatMap(({ request_body: sent }) => deliveredEvent(sent, companyId))
        .map((one) => [one.providerEventId, one]),
    )
    return { events: [...events.values()], after: isAtEnd ? null : nextOf(info) }
  }

  async function readObjects(source: ObjectSource, request: EventsRequest, after: string | null) {
    const { since, until, limit } = request
    const query = scoped(limit, after)
    const by = source === "payments" ? "updated" : "created"
    query.set(`${by}_after`, since.toISOString())
    query.set(`${by}_before`, until.toISOString())
    query.set("direction", "desc")
    const { data, page_info: info } = await asked(`/${source}?${query}`, objects)
    const own = data.filter((object) => isOfCompany(object, companyId))
    const events = own.flatMap((object) => OBJECT_SOURCES[source](object, companyId))
    return { events: events.filter((event) => isBetween(event, since, until)), after: nextOf(info) }
  }

  return {
    async listEvents(request): Promise<HistoryPage> {
      const { sources, after } = request.cursor === null ? await start() : readPosition(request.cursor)
      const [source = "", ...rest] = sources
      const page = source.startsWith(LOG)
        ? await readLog(source.slice(LOG.length), request, after)
        : await readObjects(objectSource(source), request, after)
      const next: Position | null =
        page.after !== null ? { sources, after: page.after } : rest.length > 0 ? { sources: rest, after: null } : null
      return { events: page.events, cursor: next === null ? null : JSON.stringify(next) }
    },

    async listSubscriptions({ cursor, limit }) {
      const query = scoped(limit, cursor)
      const { data, page_info: info } = await asked(`/memberships?${query}`, objects)
      const own = data.filter((object) => isOfCompany(object, companyId))
      const living = own.filter(({ status }) => status !== "canceled" && status !== "expired")
      return {
        subscriptions: living.map((object) => asSubscription(object, companyId)),
        cursor: nextOf(info),
      }
    },

    async findSubscription({ subscriptionId }) {
      const id = idOf(subscriptionId)
      if (id === null) return null
      const object = await askObject<WhopObject>({
        path: `/memberships/${encodeURIComponent(id)}`,
        reply: z.looseObject({ id: z.literal(id) }),
      })
      return object === null ? null : asSubscription(object, companyId)
    },
  }
}

/** The end cursor says that there is more, unless the page says otherwise. */
const nextOf = ({ end_cursor: end, has_next_page: hasNext }: z.output<typeof pageInfo>): string | null =>
  hasNext === false ? null : (end ?? null)

/** An endpoint of ours: at the URL itself, or below it where it names a company. */
function isWithin(url: string, webhookUrl: string): boolean {
  const [found, own] = [URL.parse(url), URL.parse(webhookUrl)]
  if (found === null || own === null || found.origin !== own.origin) return false
  return found.pathname === own.pathname || found.pathname.startsWith(`${own.pathname}/`)
}

/** The event of a delivery, under the id by which it was delivered; nothing for a body of the former versions. */
function deliveredEvent(sent: unknown, companyId: string | null): HistoricalEvent[] {
  const parsed = body.safeParse(sent)
  const occurredAt = parsed.success ? instantOf(parsed.data.timestamp) : null
  if (!parsed.success || occurredAt === null || !isOfCompany(parsed.data, companyId)) return []
  const { id, type } = parsed.data
  return [
    {
      providerEventId: id,
      occurredAt,
      type,
      rawBody: utf8(JSON.stringify(sent)),
      headers: new Headers({
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(Date.parse(occurredAt) / 1000)),
      }),
    },
  ]
}

const isBetween = ({ occurredAt }: HistoricalEvent, since: Date, until: Date): boolean =>
  occurredAt >= since.toISOString() && occurredAt <= until.toISOString()

function objectSource(name: string): ObjectSource {
  if (name === "payments" || name === "refunds" || name === "disputes") return name
  throw new ProviderApiError("Whop: the cursor names nothing that can be listed", { retry: false, status: null })
}

function readPosition(cursor: string): Position {
  try {
    return position.parse(JSON.parse(cursor))
  } catch (cause) {
    throw new ProviderApiError("Whop: the cursor is none of ours", { retry: false, status: null, cause })
  }
}
