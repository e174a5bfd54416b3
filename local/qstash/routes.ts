/** QStash's API. One file of more than 300 lines, since it is one table of routes with their handlers. */
import { randomBytes } from "node:crypto"
import { jsonReply, type Reply } from "../faults.ts"
import type { VirtualClock } from "../time/clock.ts"
import { CronError } from "./cron.ts"
import { contentId, type Engine, newId } from "./engine.ts"
import { BadRequest, type MessageSpec, readSpec } from "./message.ts"
import { deadView, matchesFilter, messageView, scheduleView } from "./views.ts"

/** One request to the API. */
export type ApiRequest = {
  readonly method: string
  readonly rawUrl: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Headers
  readonly body: Buffer
}

/** The signing keys of deliveries, now and after the next rotation. */
export type SigningKeys = { current: string; next: string }

type World = {
  readonly engine: Engine
  readonly clock: VirtualClock
  readonly keys: SigningKeys
}

type Route = {
  readonly method: string
  readonly pattern: RegExp
  answer(world: World, call: ApiRequest, ...parts: string[]): Reply
}

const notFound = (what: string): Reply => jsonReply({ error: `${what} not found` }, 404)
const empty = (status = 200): Reply => ({ status, body: "" })

/** Patterns with the flag `s` end in a destination, which is matched unparsed, including its query. */
const ROUTES: readonly Route[] = [
  {
    method: "POST",
    pattern: /^\/v2\/publish\/(.+)$/s,
    answer: ({ engine }, { headers, body }, destination = "") =>
      publish(engine, readMessage(unescaped(destination), headers, body)),
  },
  {
    method: "POST",
    pattern: /^\/v2\/enqueue\/([^/]+)\/(.+)$/s,
    answer: ({ engine }, { headers, body }, queue = "", destination = "") =>
      publish(engine, readMessage(unescaped(destination), headers, body, decodeURIComponent(queue))),
  },
  {
    method: "POST",
    pattern: /^\/v2\/batch\/?$/,
    answer: ({ engine }, { body }) => batch(engine, body),
  },
  {
    method: "POST",
    pattern: /^\/v2\/schedules\/(.+)$/s,
    answer: ({ engine }, { headers, body }, destination = "") =>
      putSchedule(engine, unescaped(destination), headers, body),
  },
  {
    method: "GET",
    pattern: /^\/v2\/schedules\/?$/,
    answer: ({ engine, clock }) =>
      jsonReply([...engine.state.schedules.values()].map((schedule) => scheduleView(schedule, clock))),
  },
  {
    method: "GET",
    pattern: /^\/v2\/schedules\/([^/]+)$/,
    answer({ engine, clock }, _call, id = "") {
      const schedule = engine.state.schedules.get(decodeURIComponent(id))
      return schedule ? jsonReply(scheduleView(schedule, clock)) : notFound("schedule")
    },
  },
  {
    method: "DELETE",
    pattern: /^\/v2\/schedules\/([^/]+)$/,
    answer({ engine }, _call, id = "") {
      if (!engine.state.schedules.delete(decodeURIComponent(id))) return notFound("schedule")
      engine.changed()
      return empty()
    },
  },
  {
    method: "PATCH",
    pattern: /^\/v2\/schedules\/([^/]+)\/(pause|resume)$/,
    answer({ engine }, _call, id = "", verb) {
      const change = verb === "pause" ? engine.scheduler.pause : engine.scheduler.resume
      if (!change(decodeURIComponent(id))) return notFound("schedule")
      engine.changed()
      return empty()
    },
  },
  {
    method: "GET",
    pattern: /^\/v2\/messages\/?$/,
    answer: ({ engine }, { query }) =>
      jsonReply({
        messages: [...engine.state.messages.values()].filter((one) => matchesFilter(one, query)).map(messageView),
      }),
  },
  {
    method: "GET",
    pattern: /^\/v2\/messages\/([^/]+)$/,
    answer({ engine }, _call, id = "") {
      const message = engine.state.messages.get(id)
      return message ? jsonReply(messageView(message)) : notFound("message")
    },
  },
  {
    method: "DELETE",
    pattern: /^\/v2\/messages\/([^/]+)$/,
    answer: ({ engine }, _call, id = "") => (engine.cancel(id) ? jsonReply({ cancelled: 1 }) : notFound("message")),
  },
  {
    method: "DELETE",
    pattern: /^\/v2\/messages\/?$/,
    answer: ({ engine }, { query }) => cancelMany(engine, query),
  },
  {
    method: "GET",
    pattern: /^\/v2\/dlq\/?$/,
    answer: ({ engine }, { query }) => jsonReply(deadPage(engine, query)),
  },
  {
    method: "GET",
    pattern: /^\/v2\/dlq\/([^/]+)$/,
    answer({ engine }, _call, id = "") {
      const dead = engine.state.dead.get(id)
      return dead ? jsonReply(deadView(dead)) : notFound("dlq message")
    },
  },
  {
    method: "POST",
    pattern: /^\/v2\/dlq\/retry(?:\/([^/]+))?$/,
    answer({ engine }, { query }, id) {
      if (id) query.append("dlqIds", id)
      const messageIds = deadOnes(engine, query).map(({ dlqId }) => engine.redrive(dlqId))
      return jsonReply({ cursor: "", responses: messageIds.map((messageId) => ({ messageId })) })
    },
  },
  {
    method: "DELETE",
    pattern: /^\/v2\/dlq\/([^/]+)$/,
    answer({ engine }, _call, id = "") {
      if (!engine.state.dead.delete(id)) return notFound("dlq message")
      engine.changed()
      return jsonReply({ deleted: 1 })
    },
  },
  {
    method: "DELETE",
    pattern: /^\/v2\/dlq\/?$/,
    answer({ engine }, { query }) {
      const dead = deadOnes(engine, query)
      for (const { dlqId } of dead) engine.state.dead.delete(dlqId)
      engine.changed()
      return jsonReply({ deleted: dead.length, cursor: "" })
    },
  },
  {
    method: "POST",
    pattern: /^\/v2\/queues\/?$/,
    answer({ engine }, { body }) {
      const { queueName, parallelism = 1, paused = false } = jsonObject(body)
      if (typeof queueName !== "string") throw new BadRequest("queueName is missing")
      engine.state.queues.set(queueName, { parallelism: Number(parallelism), isPaused: paused === true })
      engine.changed()
      return empty()
    },
  },
  {
    method: "GET",
    pattern: /^\/v2\/flowControl\/([^/]+)$/,
    answer: ({ engine }, _call, key = "") => jsonReply(flowControlView(engine, decodeURIComponent(key))),
  },
  {
    method: "POST",
    pattern: /^\/v2\/flowControl\/([^/]+)\/(pause|resume)$/,
    answer({ engine }, _call, key = "", verb) {
      if (verb === "pause") engine.state.pausedKeys.add(decodeURIComponent(key))
      else engine.state.pausedKeys.delete(decodeURIComponent(key))
      engine.changed()
      return empty()
    },
  },
  {
    method: "GET",
    pattern: /^\/v2\/(?:events|logs)\/?$/,
    answer: ({ engine }, { query }) => jsonReply({ cursor: "", events: eventsFor(engine, query) }),
  },
  { method: "GET", pattern: /^\/v2\/keys\/?$/, answer: ({ keys }) => jsonReply(keys) },
  {
    method: "POST",
    pattern: /^\/v2\/keys\/rotate\/?$/,
    answer({ keys }) {
      keys.current = keys.next
      keys.next = newSigningKey()
      return jsonReply(keys)
    },
  },
]

/** Like QStash's: 21 random bytes. */
const newSigningKey = (): string => `sig_${randomBytes(21).toString("base64url")}`

/** Answers one authorised request. */
export function handleRequest(call: ApiRequest, world: World): Reply {
  try {
    for (const route of ROUTES) {
      if (route.method !== call.method) continue
      const hasDestination = route.pattern.flags.includes("s")
      const match = route.pattern.exec(hasDestination ? call.rawUrl : call.path)
      if (match) return route.answer(world, call, ...match.slice(1))
    }
    return jsonReply({ error: `no such endpoint: ${call.method} ${call.path}` }, 404)
  } catch (cause) {
    if (cause instanceof BadRequest || cause instanceof CronError) return jsonReply({ error: cause.message }, 400)
    throw cause
  }
}

function unescaped(destination: string): string {
  return /^https?%3a/i.test(destination) ? decodeURIComponent(destination) : destination
}

function readMessage(
  destination: string,
  headers: Headers,
  body: Buffer,
  queueName: string | null = null,
): MessageSpec {
  const spec = readSpec({ destination, headers, body, queueName })
  const isByContent = headers.get("upstash-content-based-deduplication") === "true"
  return isByContent && spec.deduplicationId === null ? { ...spec, deduplicationId: contentId(spec) } : spec
}

function publish(engine: Engine, spec: MessageSpec): Reply {
  const { messageId, isDuplicate } = engine.accept(spec)
  return isDuplicate
    ? jsonReply({ messageId, url: spec.url, deduplicated: true }, 202)
    : jsonReply({ messageId, url: spec.url }, 201)
}

/** All messages are parsed before the first is accepted: an invalid batch has no effect. */
function batch(engine: Engine, body: Buffer): Reply {
  const items: unknown = parsedJson(body)
  if (!Array.isArray(items)) throw new BadRequest("a batch is a JSON array")
  const specs = items.map((item: Record<string, unknown>) => {
    const headers = new Headers(item.headers as Record<string, string>)
    const content = Buffer.from(typeof item.body === "string" ? item.body : "")
    return readMessage(String(item.destination), headers, content, typeof item.queue === "string" ? item.queue : null)
  })
  const replies = specs.map((spec) => {
    const { messageId, isDuplicate } = engine.accept(spec)
    return { messageId, url: spec.url, ...(isDuplicate ? { deduplicated: true } : {}) }
  })
  return jsonReply(replies, 201)
}

function putSchedule(engine: Engine, destination: string, headers: Headers, body: Buffer): Reply {
  const cron = headers.get("upstash-cron")
  if (cron === null) throw new BadRequest("Upstash-Cron is missing")
  const scheduleId = headers.get("upstash-schedule-id") ?? newId("scd")
  engine.scheduler.put({ scheduleId, cron, spec: readSpec({ destination, headers, body }) })
  engine.changed()
  return jsonReply({ scheduleId }, 201)
}

function cancelMany(engine: Engine, query: URLSearchParams): Reply {
  const ids = query.getAll("messageIds")
  const chosen = [...engine.state.messages.values()].filter((message) =>
    ids.length > 0 ? ids.includes(message.messageId) : matchesFilter(message, query),
  )
  for (const { messageId } of chosen) engine.cancel(messageId)
  return jsonReply({ cancelled: chosen.length })
}

const DEAD_LETTERS_PER_PAGE = 100

/** A page in the requested order; the cursor is the id of the last entry of the page before. */
function deadPage(engine: Engine, query: URLSearchParams) {
  const earliestFirst = [...engine.state.dead.values()].filter((dead) => matchesFilter(dead, query))
  const all = query.get("order") === "latestFirst" ? earliestFirst.toReversed() : earliestFirst
  const start = all.findIndex(({ dlqId }) => dlqId === query.get("cursor")) + 1
  const page = all.slice(start, start + Number(query.get("count") ?? DEAD_LETTERS_PER_PAGE))
  const last = page.at(-1)
  const hasMore = last !== undefined && last !== all.at(-1)
  return { messages: page.map(deadView), ...(hasMore && { cursor: last.dlqId }) }
}

function deadOnes(engine: Engine, query: URLSearchParams) {
  const ids = query.getAll("dlqIds")
  const count = Number(query.get("count") ?? DEAD_LETTERS_PER_PAGE)
  return [...engine.state.dead.values()]
    .filter((dead) => (ids.length > 0 ? ids.includes(dead.dlqId) : matchesFilter(dead, query)))
    .slice(0, count)
}

function eventsFor(engine: Engine, query: URLSearchParams) {
  const ids = query.getAll("messageIds").concat(query.getAll("messageId"))
  return engine.events.filter(({ messageId }) => ids.length === 0 || ids.includes(messageId)).toReversed()
}

function flowControlView(engine: Engine, key: string): Record<string, unknown> {
  const messages = [...engine.state.messages.values()].filter(({ flowControlKey }) => flowControlKey === key)
  const active = engine.runner.underWay(key)
  return {
    flowControlKey: key,
    waitListSize: messages.length - active,
    parallelismMax: messages[0]?.parallelism ?? 0,
    parallelismCount: active,
    isPaused: engine.state.pausedKeys.has(key),
  }
}

function jsonObject(body: Buffer): Record<string, unknown> {
  const value = parsedJson(body)
  if (typeof value !== "object" || value === null) throw new BadRequest("body is not a JSON object")
  return value as Record<string, unknown>
}

function parsedJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"))
  } catch (cause) {
    throw new BadRequest("body is not JSON", { cause })
  }
}
