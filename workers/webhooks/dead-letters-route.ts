/**
 * `/api/dead-letters`: what nobody tries again by itself, with the reason, and once more. Three kinds in one list, one after
 * the other: `event` (its processing failed for good), `message` (QStash gave it up) and `parked` (a copy in Redis that
 * could not be stored). No body is ever shown. Messages and copies belong to no company yet, so operators alone see them.
 */
import { Hono } from "hono"
import * as z from "zod"
import type { ListPosition, PageRequest } from "../../db/queries/platform/page.ts"
import { type EventRow, listEvents, readEvent } from "../../db/queries/webhooks/events.ts"
import { isAllowed, requirePermission, withPermission } from "../platform/auth.ts"
import { encodeCursor } from "../platform/cursor.ts"
import { AppError } from "../platform/errors.ts"
import { QstashError } from "../platform/qstash/call.ts"
import type { DeadLetterMessage } from "../platform/qstash/publish.ts"
import { pageFields, validJson, validParam, validQuery } from "../platform/request.ts"
import type { AppEnv, Principal, Services } from "../platform/services.ts"
import { type RejectedDelivery, rejectedDeliveries, retryRejected } from "./fallback-queue.ts"
import { replayEvent } from "./replay-request.ts"

const KINDS = ["event", "message", "parked"] as const
type Kind = (typeof KINDS)[number]

/** Both stores answer with what is in them, up to two MiB each, so few are asked for at once. */
const PAGE_MAX: Readonly<Record<Kind, number>> = { event: 200, message: 50, parked: 20 }

const query = z.strictObject({
  ...pageFields,
  cursor: pageFields.cursor.refine((position) => position === undefined || placeOf(position) !== null, {
    error: "expected a nextCursor of this list",
  }),
  kind: z.enum(KINDS).optional(),
})

/** One entry of the list. */
interface DeadLetter {
  readonly kind: Kind
  readonly id: string
  readonly reason: string | null
  readonly job: string | null
  readonly eventId: string | null
  /** Null where nobody counted. */
  readonly attempts: number | null
  readonly responseStatus: number | null
  readonly at: string
  readonly isRetryable: boolean
}

/** Where a page goes on within its kind; null when the kind is at its end. */
interface Part {
  readonly letters: readonly DeadLetter[]
  readonly next: string | null
}

const parkedId = z.string().regex(/^\d{1,15}-\d{1,15}$/)

/** Each kind has ids of its own form. */
const letter = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("event"), id: z.uuid() }),
  z.object({ kind: z.literal("message"), id: z.string().regex(/^[\x21-\x7e]{1,200}$/) }),
  z.object({ kind: z.literal("parked"), id: parkedId }),
])

export const deadLetters = new Hono<AppEnv>()
  .get("/", withPermission("events:read"), validQuery(query), async (c) => {
    const { limit, cursor, kind } = c.req.valid("query")
    const principal = c.get("principal")
    if (kind !== undefined && kind !== "event") requirePermission(principal, "jobs:read")
    const seen = isAllowed(principal.role, "jobs:read") ? KINDS : (["event"] as const)
    const kinds = kind === undefined ? seen : [kind]
    return c.json(await pageOfKinds(c.get("services"), principal, kinds, limit, cursor ?? null))
  })
  .post(
    "/:kind/:id/retry",
    withPermission("events:replay"),
    validParam(letter),
    validJson(z.strictObject({}), { isOptional: true }),
    async (c) => {
      const { kind, id } = c.req.valid("param")
      const principal = c.get("principal")
      if (kind !== "event") requirePermission(principal, "jobs:run")
      const services = c.get("services")
      const status = await RETRY[kind](services, principal, id)
      const fields = { keyId: principal.keyId, source: kind, outcome: status }
      services.log.info("dead_letter_retried", kind === "event" ? { ...fields, eventId: id } : fields)
      return c.json({ kind, id, status })
    },
  )

async function pageOfKinds(
  services: Services,
  principal: Principal,
  kinds: readonly Kind[],
  limit: number,
  cursor: ListPosition | null,
) {
  const start = (cursor && placeOf(cursor)) ?? { kind: kinds[0] ?? "event", inner: null }
  const data: DeadLetter[] = []
  const unavailable: Kind[] = []
  let inner = start.inner
  for (const kind of kinds.slice(Math.max(0, kinds.indexOf(start.kind)))) {
    const wanted = Math.min(limit - data.length, PAGE_MAX[kind])
    if (wanted === 0) return { data, nextCursor: cursorOf(kind, null), unavailable }
    const part = await partOf(services, principal, kind, wanted, inner)
    if (part === null) unavailable.push(kind)
    data.push(...(part?.letters ?? []))
    if (part !== null && part.next !== null) return { data, nextCursor: cursorOf(kind, part.next), unavailable }
    inner = null
  }
  return { data, nextCursor: null, unavailable }
}

/** Null while QStash or Redis does not answer: the other kinds are shown all the same. */
async function partOf(
  services: Services,
  principal: Principal,
  kind: Kind,
  limit: number,
  inner: string | null,
): Promise<Part | null> {
  if (kind === "event") return deadEvents(services, principal, limit, inner)
  try {
    return await (kind === "message"
      ? deadMessages(services, limit, inner)
      : fallbackDeliveries(services, limit, inner))
  } catch (error) {
    services.log.warn("dead_letters_read_failed", { source: kind, error })
    return null
  }
}

async function deadEvents({ db }: Services, { companyId }: Principal, limit: number, inner: string | null) {
  const page: PageRequest = { limit, after: inner === null ? null : eventPosition(inner) }
  const { rows, end } = await listEvents(db, companyId, { status: "dead" }, page)
  return { letters: rows.map(showEvent), next: end === null ? null : `${end.at.toISOString()} ${end.id}` }
}

async function deadMessages({ config, qstash }: Services, limit: number, cursor: string | null): Promise<Part> {
  const page = await qstash.listDeadLetters({ limit, ...(cursor !== null && { cursor }) })
  const ours = page.messages.filter((message) => jobOf(config.appUrl, message) !== null)
  return { letters: ours.map((message) => showMessage(config.appUrl, message)), next: page.cursor }
}

async function fallbackDeliveries(services: Services, limit: number, before: string | null): Promise<Part> {
  const copies = await rejectedDeliveries(services, { limit, before })
  return { letters: copies.map(showFallback), next: copies.length === limit ? (copies.at(-1)?.id ?? null) : null }
}

/** What was done about a letter, in a word. Throws NOT_FOUND when it is not there any more. */
const RETRY: Readonly<Record<Kind, (services: Services, principal: Principal, id: string) => Promise<string>>> = {
  async event(services, principal, id) {
    const event = await readEvent(services.db, principal.companyId, id)
    if (event?.status !== "dead") throw gone()
    return replayEvent(services, principal, id)
  },
  async message({ config, qstash }, _, dlqId) {
    try {
      const message = await qstash.findDeadLetter(dlqId)
      // An account may be shared: what is not ours is not there.
      if (message === null || jobOf(config.appUrl, message) === null) throw gone()
      await qstash.redriveDeadLetters([dlqId])
    } catch (error) {
      if (error instanceof QstashError) throw away(error)
      throw error
    }
    return "queued"
  },
  async parked(services, _, id) {
    const isThere = await retryRejected(services, id).catch((error: unknown) => {
      throw away(error)
    })
    if (!isThere) throw gone()
    return "queued"
  },
}

const gone = (): AppError => new AppError("NOT_FOUND", "There is no such dead letter.")

const away = (cause: unknown): AppError =>
  new AppError("UNAVAILABLE", "Where it is kept cannot be reached now. Please try again.", {
    reason: "store_away",
    retryAfterSeconds: 10,
    cause,
  })

const NOTHING = { job: null, eventId: null, attempts: null, responseStatus: null } as const

const showEvent = ({ id, error, attempts, receivedAt, isPayloadKept }: EventRow): DeadLetter => ({
  ...NOTHING,
  kind: "event",
  id,
  reason: error,
  eventId: id,
  attempts,
  at: receivedAt.toISOString(),
  isRetryable: isPayloadKept,
})

const showMessage = (appUrl: string, message: DeadLetterMessage): DeadLetter => ({
  ...NOTHING,
  kind: "message",
  id: message.dlqId,
  reason: message.reason ?? (message.responseStatus === null ? "no_answer" : `answered_${message.responseStatus}`),
  job: jobOf(appUrl, message),
  responseStatus: message.responseStatus,
  at: message.createdAt.toISOString(),
  isRetryable: true,
})

const showFallback = ({ id, reason }: RejectedDelivery): DeadLetter => ({
  ...NOTHING,
  kind: "parked",
  id,
  reason,
  job: "ingest",
  at: new Date(Number(id.split("-")[0])).toISOString(),
  isRetryable: true,
})

/** The job that a message was for; null when it is none of this deployment's. */
function jobOf(appUrl: string, { url }: DeadLetterMessage): string | null {
  const prefix = `${appUrl}/jobs/`
  return url.startsWith(prefix) ? url.slice(prefix.length) : null
}

/** A cursor names the kind and the place within it; the time of a list's position is not needed. */
const cursorOf = (kind: Kind, inner: string | null): string =>
  encodeCursor({ at: new Date(0), id: `${kind} ${inner ?? ""}` })

function placeOf({ id }: ListPosition): { readonly kind: Kind; readonly inner: string | null } | null {
  const [, name, inner] = /^([a-z]+) ([\x20-\x7e]*)$/.exec(id) ?? []
  const kind = KINDS.find((candidate) => candidate === name)
  if (kind === undefined || inner === undefined) return null
  if (inner === "") return { kind, inner: null }
  const fits =
    kind === "event" ? eventPosition(inner) !== null : kind === "message" || parkedId.safeParse(inner).success
  return fits ? { kind, inner } : null
}

function eventPosition(inner: string): ListPosition | null {
  const [, time = "", id = ""] = /^([12]\d{3}-\S+Z) (\S+)$/.exec(inner) ?? []
  const at = new Date(time)
  return Number.isNaN(at.getTime()) || !z.uuid().safeParse(id).success ? null : { at, id }
}
