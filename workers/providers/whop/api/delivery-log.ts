/**
 * Whop's list of events. First choice is the delivery log of our own endpoints: the bodies as they were sent, for 30 days
 * (docs.whop.com/api-reference/webhooks/list-deliveries; fields as in whopsdk-python, `WebhookListDeliveriesResponse`). With a
 * key that may not read it (`developer:manage_webhook`), or an account without an endpoint of ours of version v1, the events
 * are built from payments, refunds and disputes. All of it follows published types and documents; none of it was tried with
 * a real account.
 */
import * as z from "zod"
import { utf8 } from "../../../../shared/crypto/bytes.ts"
import {
  type HistoricalEvent,
  type HistoryPage,
  type ProviderApi,
  ProviderApiError,
} from "../../../../shared/provider.ts"
import { isOfCompany } from "../events/envelope.ts"
import { idOf, instantOf, type JsonObject } from "../events/fields.ts"
import { asSubscription, disputeEvents, paymentEvents, refundEvents, type WhopObject } from "./events-from-objects.ts"

/** Days that deliveries are kept. */
export const EVENT_LIST_DAYS = 30

/** A page of deliveries has whole bodies; this many stay well below what we read of one answer. */
const LIMIT_MAX = 50

/** An account has a handful of endpoints; more than a page of them are not read. */
const ENDPOINTS_MAX = 50

/** Gets a path of Whop's API; null for a 404. Throws `ProviderApiError`. */
export type WhopGet = <T>(request: { readonly path: string; readonly reply: z.ZodType<T> }) => Promise<T | null>

/** The same for one object, which must belong to the company. */
export type WhopGetObject = <T extends JsonObject>(request: {
  readonly path: string
  readonly reply: z.ZodType<T>
}) => Promise<T | null>

export interface WhopHistoryOptions {
  /** The company whose history is read; null: that of the key. */
  readonly companyId: string | null
  /** The URL of our own endpoint: deliveries to other endpoints are not ours. */
  readonly webhookUrl: string | null
}

const pageInfo = z.lazy(() => z.object({ end_cursor: z.string().nullish(), has_next_page: z.boolean().nullish() }))
const pageOf = <T extends z.ZodType>(item: T) => z.object({ data: z.array(item), page_info: pageInfo })

const objects = pageOf(z.looseObject({ id: z.string() }))
const endpoints = pageOf(
  z.looseObject({ id: z.string(), api_version: z.string(), url: z.string(), enabled: z.boolean() }),
)
const deliveries = pageOf(z.looseObject({ request_body: z.unknown(), sent_at: z.string() }))
const body = z.lazy(() => z.looseObject({ id: z.string(), type: z.string(), timestamp: z.unknown() }))

/** The sources that are still to be read, and the position in the first of them. */
const position = z.lazy(() => z.object({ sources: z.array(z.string()).min(1), after: z.string().nullable() }))
type Position = z.output<typeof position>

const OBJECT_SOURCES = { payments: paymentEvents, refunds: refundEvents, disputes: disputeEvents } as const
type ObjectSource = keyof typeof OBJECT_SOURCES
const LOG = "log:"

type HistoryApi = Pick<ProviderApi, "listEvents" | "listSubscriptions" | "findSubscription">
type EventsRequest = Parameters<HistoryApi["listEvents"]>[0]

/** The part of the API that reads history. */
export function whopHistory(
  { get, getObject }: { readonly get: WhopGet; readonly getObject: WhopGetObject },
  { companyId, webhookUrl }: WhopHistoryOptions,
): HistoryApi {
  const getList = async <T>(path: string, reply: z.ZodType<T>): Promise<T> => {
    const answer = await get({ path, reply })
    if (answer === null) throw new ProviderApiError("Whop: no such list", { retry: false, status: 404 })
    return answer
  }
  const pageQuery = (limit: number, after: string | null): URLSearchParams => {
    const query = new URLSearchParams({ first: String(Math.min(limit, LIMIT_MAX)) })
    if (companyId !== null) query.set("company_id", companyId)
    if (after !== null) query.set("after", after)
    return query
  }

  /** Our endpoints whose log can be read; none where this key has no permission to list them. */
  async function ownEndpoints() {
    if (webhookUrl === null) return []
    try {
      const { data } = await getList(`/webhooks?${pageQuery(ENDPOINTS_MAX, null)}`, endpoints)
      return data.filter(
        ({ id, api_version: version, url }) => idOf(id) !== null && version === "v1" && isWithin(url, webhookUrl),
      )
    } catch (error) {
      if (error instanceof ProviderApiError && [401, 403, 404].includes(error.status ?? 0)) return []
      throw error
    }
  }

  /** The logs of our endpoints; with the objects, when there is no endpoint or none is enabled. */
  async function start(): Promise<Position> {
    const own = await ownEndpoints()
    const logs = own.map(({ id }) => `${LOG}${id}`)
    const isAnyEnabled = own.some(({ enabled }) => enabled)
    return { sources: isAnyEnabled ? logs : [...logs, ...Object.keys(OBJECT_SOURCES)], after: null }
  }

  /** Deliveries are listed newest first, so the first that is too old ends the log. */
  async function readLog(endpoint: string, { since, until, limit }: EventsRequest, after: string | null) {
    const query = new URLSearchParams({ first: String(Math.min(limit, LIMIT_MAX)), ...(after !== null && { after }) })
    const { data, page_info: info } = await getList(
      `/webhooks/${encodeURIComponent(endpoint)}/deliveries?${query}`,
      deliveries,
    )
    const sentAt = (entry: (typeof data)[number]) => Date.parse(instantOf(entry.sent_at) ?? "")
    const within = data.filter((entry) => sentAt(entry) >= since.getTime() && sentAt(entry) <= until.getTime())
    const isAtEnd = data.some((entry) => sentAt(entry) < since.getTime())
    const events = new Map(
      within
        .flatMap(({ request_body: sent }) => deliveredEvent(sent, companyId))
        .map((event) => [event.providerEventId, event]),
    )
    return { events: [...events.values()], after: isAtEnd ? null : nextOf(info, after) }
  }

  async function readObjects(source: ObjectSource, request: EventsRequest, after: string | null) {
    const { since, until, limit } = request
    const query = pageQuery(limit, after)
    const by = source === "payments" ? "updated" : "created"
    query.set(`${by}_after`, since.toISOString())
    query.set(`${by}_before`, until.toISOString())
    query.set("direction", "desc")
    const { data, page_info: info } = await getList(`/${source}?${query}`, objects)
    const own = data.filter((object) => isOfCompany(object, companyId))
    const events = own.flatMap((object) => OBJECT_SOURCES[source](object, companyId))
    return { events: events.filter((event) => isBetween(event, since, until)), after: nextOf(info, after) }
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
      const query = pageQuery(limit, cursor)
      const { data, page_info: info } = await getList(`/memberships?${query}`, objects)
      const own = data.filter((object) => isOfCompany(object, companyId))
      const current = own.filter(({ status }) => status !== "canceled" && status !== "expired")
      return {
        subscriptions: current.map((object) => asSubscription(object, companyId)),
        cursor: nextOf(info, cursor),
      }
    },

    async findSubscription({ subscriptionId }) {
      const id = idOf(subscriptionId)
      if (id === null) return null
      const object = await getObject<WhopObject>({
        path: `/memberships/${encodeURIComponent(id)}`,
        reply: z.looseObject({ id: z.literal(id) }),
      })
      return object === null ? null : asSubscription(object, companyId)
    },
  }
}

/**
 * An end cursor means that there is a next page, unless `has_next_page` is false, or it is the cursor of this page: that would
 * be read for ever.
 */
const nextOf = ({ end_cursor: end, has_next_page: hasNext }: z.output<typeof pageInfo>, after: string | null) =>
  hasNext === false || end === after ? null : (end ?? null)

/** Whether an endpoint is ours: at the URL itself, or below it where it names a company. */
function isWithin(url: string, webhookUrl: string): boolean {
  const [found, own] = [URL.parse(url), URL.parse(webhookUrl)]
  if (found === null || own === null || found.origin !== own.origin) return false
  return found.pathname === own.pathname || found.pathname.startsWith(`${own.pathname}/`)
}

/** The event of a delivery, under the id with which it was delivered; none for a body of legacy versions. */
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
    throw new ProviderApiError("Whop: the cursor is not ours", { retry: false, status: null, cause })
  }
}
