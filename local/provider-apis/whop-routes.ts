import { randomBytes } from "node:crypto"
import { z } from "zod"
import type { Mailbox } from "../channels/mailbox.ts"
import { jsonReply, type Reply } from "../faults.ts"
import type { ApiObject, ObjectStore } from "./objects.ts"

/** One authorised request; the path without its version. */
export type WhopCall = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Record<string, unknown>
  readonly idempotencyKey: string | null
}

/** The state of the routes. */
export type WhopWorld = {
  readonly objects: ObjectStore
  readonly mailbox: Mailbox
  readonly now: () => Date
  /** Whether writes accept memberships that were not created. */
  readonly adoptsUnknown: boolean
}

const notification = z.object({
  company_id: z.string().optional(),
  experience_id: z.string().optional(),
  title: z.string().min(1),
  content: z.string().min(1),
  user_ids: z.array(z.string()).nullish(),
})
const dmChannel = z.object({ with_user_ids: z.array(z.string().min(1)).min(1), custom_name: z.string().nullish() })
const message = z.object({ channel_id: z.string().min(1), content: z.string().min(1) })
const freeDays = z.object({ free_days: z.number().int().min(1).max(1_095) })

/** An error in the form of Whop's API. */
export const whopError = (status: number, type: string, text: string): Reply =>
  jsonReply({ error: { type, message: text } }, status)

const COLLECTIONS: ReadonlySet<string> = new Set([
  "memberships",
  "payments",
  "invoices",
  "members",
  "plans",
  "disputes",
  "refunds",
  "webhooks",
])

/** Answers one call. */
export function handleWhop(call: WhopCall, world: WhopWorld): Reply {
  const [, collection = "", id, verb] = call.path.split("/").map(decodeURIComponent)
  const isPost = call.method === "POST"
  if (isPost && id === undefined) {
    if (collection === "notifications") return notify(call, world)
    if (collection === "dm_channels") return openChannel(call, world)
    if (collection === "messages") return sendMessage(call, world)
  }
  if (COLLECTIONS.has(collection)) {
    if (call.method === "GET" && id === undefined) return list(collection, call, world)
    if (call.method === "GET" && collection === "webhooks" && id !== undefined && verb === "deliveries") {
      return world.objects.get("webhooks", id) ? deliveries(id, call, world) : notFound(collection)
    }
    if (call.method === "GET" && id !== undefined && verb === undefined) {
      const object = world.objects.get(collection, id)
      return object ? jsonReply(object) : notFound(collection)
    }
    if (isPost && collection === "memberships" && id !== undefined && verb !== undefined) {
      return changeMembership(id, verb, call, world)
    }
  }
  return whopError(404, "not_found", `No route matches ${call.method} ${call.path}`)
}

const notFound = (collection: string): Reply =>
  whopError(404, "not_found", `The ${collection.replace(/s$/, "")} was not found.`)

const invalid = ({ issues: [issue] }: z.ZodError): Reply =>
  whopError(400, "bad_request", `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`)

function notify({ body, idempotencyKey }: WhopCall, { mailbox }: WhopWorld): Reply {
  const parsed = notification.safeParse(body)
  if (!parsed.success) return invalid(parsed.error)
  const { company_id: company, experience_id: experience, title, content, user_ids: users } = parsed.data
  const audience = company ?? experience
  if (audience === undefined) return whopError(400, "bad_request", "company_id or experience_id is required")
  for (const to of users ?? [audience])
    mailbox.deliver({ channel: "push", to, subject: title, body: content, idempotencyKey })
  return jsonReply({ success: true })
}

/** The same people always have the same channel. */
function openChannel({ body }: WhopCall, { objects, now }: WhopWorld): Reply {
  const parsed = dmChannel.safeParse(body)
  if (!parsed.success) return invalid(parsed.error)
  const users = parsed.data.with_user_ids.toSorted()
  const known = objects.list("dm_channels").find(({ user_ids: ids }) => JSON.stringify(ids) === JSON.stringify(users))
  return jsonReply(
    known ??
      objects.put("dm_channels", {
        ...base("feed_", now),
        name: parsed.data.custom_name ?? null,
        last_message_at: null,
        user_ids: users,
      }),
  )
}

function sendMessage({ body, idempotencyKey }: WhopCall, { objects, mailbox, now }: WhopWorld): Reply {
  const parsed = message.safeParse(body)
  if (!parsed.success) return invalid(parsed.error)
  const channel = objects.get("dm_channels", parsed.data.channel_id)
  if (!channel) return notFound("channels")
  const users = Array.isArray(channel.user_ids) ? channel.user_ids.map(String) : []
  for (const to of users) mailbox.deliver({ channel: "dm", to, subject: "", body: parsed.data.content, idempotencyKey })
  return jsonReply({ ...base("post_", now), content: parsed.data.content, message_type: "regular", is_edited: false })
}

const DAY_MS = 24 * 60 * 60 * 1_000

function changeMembership(id: string, verb: string, { body }: WhopCall, world: WhopWorld): Reply {
  const { objects, now, adoptsUnknown } = world
  const adopted = adoptsUnknown && id.startsWith("mem_") ? adopt(id, now) : undefined
  const membership = objects.get("memberships", id) ?? adopted
  if (!membership) return notFound("memberships")
  const put = (fields: Record<string, unknown>): Reply =>
    jsonReply(objects.put("memberships", { ...membership, ...fields, id }))
  switch (verb) {
    case "add_free_days": {
      const parsed = freeDays.safeParse(body)
      if (!parsed.success) return invalid(parsed.error)
      const end = Date.parse(String(membership.renewal_period_end))
      const from = Number.isNaN(end) ? now().getTime() : end
      return put({ renewal_period_end: new Date(from + parsed.data.free_days * DAY_MS).toISOString() })
    }
    case "pause":
      return put({ payment_collection_paused: true })
    case "resume":
      return put({ payment_collection_paused: false })
    case "cancel":
      return put({ cancel_at_period_end: true, status: "canceling", canceled_at: now().toISOString() })
    case "uncancel":
      return put({ cancel_at_period_end: false, status: "active", canceled_at: null })
    default:
      return whopError(404, "not_found", `No route matches memberships/${verb}`)
  }
}

const adopt = (id: string, now: () => Date): ApiObject => ({
  id,
  status: "active",
  created_at: now().toISOString(),
  renewal_period_end: new Date(now().getTime() + 30 * DAY_MS).toISOString(),
  cancel_at_period_end: false,
  payment_collection_paused: false,
})

const PAGE_DEFAULT = 20
const PAGE_MAX = 100

/** A page, newest first unless `direction=asc`. Cursors are opaque to clients; here they are ids. */
function list(collection: string, { query }: WhopCall, { objects }: WhopWorld): Reply {
  const all = objects
    .list(collection)
    .filter((object) => fits(object, query))
    .toSorted((a, b) => String(b.created_at).localeCompare(String(a.created_at)))
  if (query.get("direction") === "asc") all.reverse()
  return page(all, query)
}

/**
 * The delivery log of an endpoint: attempts of the last 30 days, the latest first. They are created as
 * `webhook_deliveries` with `webhook_id`, `sent_at` and the sent event as `request_body`.
 */
function deliveries(webhook: string, { query }: WhopCall, { objects, now }: WhopWorld): Reply {
  const oldest = new Date(now().getTime() - DELIVERY_RETENTION_MS).toISOString()
  const all = objects
    .list("webhook_deliveries")
    .filter(({ webhook_id: id, sent_at: sentAt }) => id === webhook && String(sentAt) >= oldest)
    .toSorted((a, b) => String(b.sent_at).localeCompare(String(a.sent_at)))
  return page(
    all.map(({ webhook_id: _, ...delivery }) => ({
      event: null,
      replayed_from: null,
      response_body: null,
      ...delivery,
    })),
    query,
  )
}

const DELIVERY_RETENTION_MS = 30 * DAY_MS

function page(all: readonly ApiObject[], query: URLSearchParams): Reply {
  const first = Math.min(PAGE_MAX, Number(query.get("first") ?? PAGE_DEFAULT))
  const after = query.get("after")
  const start = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1
  const data = all.slice(start, start + first)
  const hasMore = start + first < all.length
  return jsonReply({
    data,
    page_info: {
      start_cursor: data[0]?.id ?? null,
      end_cursor: hasMore ? (data.at(-1)?.id ?? null) : null, // the SDK continues while there is one
      has_next_page: hasMore,
      has_previous_page: start > 0,
    },
  })
}

/** The filters by time, company, user and status; lists are `statuses[]=a&statuses[]=b` or repeated parameters. */
function fits(object: ApiObject, query: URLSearchParams): boolean {
  const created = Date.parse(String(object.created_at))
  const updated = Date.parse(String(object.updated_at ?? object.created_at))
  const edge = (name: string): number => Date.parse(query.get(name) ?? "") // NaN: every comparison below is false
  if (created <= edge("created_after") || created >= edge("created_before")) return false
  if (updated <= edge("updated_after") || updated >= edge("updated_before")) return false
  return (
    isOneOf(idOf(object.company), query, "company_id") &&
    isOneOf(idOf(object.user), query, "user_ids") &&
    isOneOf(object.status, query, "statuses")
  )
}

function isOneOf(value: unknown, query: URLSearchParams, name: string): boolean {
  const wanted = [...query.getAll(name), ...query.getAll(`${name}[]`)]
  return wanted.length === 0 || value === undefined || wanted.includes(String(value))
}

const idOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "id" in value ? value.id : undefined

const base = (prefix: string, now: () => Date): ApiObject => ({
  id: `${prefix}${randomBytes(8).toString("hex")}`,
  created_at: now().toISOString(),
})
