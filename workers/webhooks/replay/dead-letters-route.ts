/**
 * `/api/dead-letters`: lists dead letters with their reason, and retries one. Three kinds in one list, one after the other:
 * `event` (its processing failed for good), `message` (QStash gave up) and `parked` (a delivery in Redis that could not be
 * stored). No body is ever shown. Messages and deliveries belong to no company yet, so only operators see them.
 */
import { Hono } from "hono"
import * as z from "zod"
import type { ListPosition, PageRequest } from "../../../db/queries/platform/page.ts"
import { type EventRow, listEvents, readEvent } from "../../../db/queries/webhooks/events.ts"
import { AppError } from "../../platform/errors.ts"
import { isAllowed, requirePermission, withPermission } from "../../platform/http/auth.ts"
import { encodeCursor } from "../../platform/http/cursor.ts"
import { pageFields, validJson, validParam, validQuery } from "../../platform/http/request.ts"
import { QstashError } from "../../platform/qstash/call.ts"
import type { DeadLetterMessage } from "../../platform/qstash/publish.ts"
import type { AppEnv, Principal, Services } from "../../platform/services.ts"
import { type RejectedDelivery, rejectedDeliveries, retryRejected } from "../fallback-queue.ts"
import { replayEvent } from "./replay-request.ts"

const KINDS = ["event", "message", "parked"] as const
type Kind = (typeof KINDS)[number]

/** QStash and Redis answer with whole bodies, up to two MiB each, so their pages are small. */
const PAGE_MAX: Readonly<Record<Kind, number>> = { event: 200, message: 50, parked: 20 }

const query = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    cursor: pageFields.cursor.refine((position) => position === undefined || positionOf(position) !== null, {
      error: "expected a nextCursor of this list",
    }),
    kind: z.enum(KINDS).optional(),
  }),
)

/** One entry of the list. */
interface DeadLetter {
  readonly kind: Kind
  readonly id: string
  readonly reason: string | null
  readonly job: string | null
  readonly eventId: string | null
  /** Null where attempts are not counted. */
  readonly attempts: number | null
  readonly responseStatus: number | null
  readonly at: string
  readonly isRetryable: boolean
}

/** The part of a page that is of one kind. `next`: the position within the kind to continue from; null at its end. */
interface Part {
  readonly letters: readonly DeadLetter[]
  readonly next: string | null
}

const parkedId = z.string().regex(/^\d{1,15}-\d{1,15}$/)

/** Each kind has its own format of ids. */
const letter = z.lazy(() =>
  z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("event"), id: z.uuid() }),
    z.object({ kind: z.literal("message"), id: z.string().regex(/^[\x21-\x7e]{1,200}$/) }),
    z.object({ kind: z.literal("parked"), id: parkedId }),
  ]),
)

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
  const start = (cursor && positionOf(cursor)) ?? { kind: kinds[0] ?? "event", inner: null }
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

/** Null while QStash or Redis does not answer: the other kinds are still listed. */
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
  const rejected = await rejectedDeliveries(services, { limit, before })
  return { letters: rejected.map(showFallback), next: rejected.length === limit ? (rejected.at(-1)?.id ?? null) : null }
}

/** Retries a dead letter and returns its new status. Throws NOT_FOUND when it is gone. */
const RETRY: Readonly<Record<Kind, (services: Services, principal: Principal, id: string) => Promise<string>>> = {
  async event(services, principal, id) {
    const event = await readEvent(services.db, principal.companyId, id)
    if (event?.status !== "dead") throw notFound()
    return replayEvent(services, principal, id)
  },
  async message({ config, qstash }, _, dlqId) {
    try {
      const message = await qstash.findDeadLetter(dlqId)
      // A QStash account may be shared: messages of other deployments do not exist here.
      if (message === null || jobOf(config.appUrl, message) === null) throw notFound()
      await qstash.redriveDeadLetters([dlqId])
    } catch (error) {
      if (error instanceof QstashError) throw storeUnavailable(error)
      throw error
    }
    return "queued"
  },
  async parked(services, _, id) {
    const isFound = await retryRejected(services, id).catch((error: unknown) => {
      throw storeUnavailable(error)
    })
    if (!isFound) throw notFound()
    return "queued"
  },
}

const notFound = (): AppError => new AppError("NOT_FOUND", "There is no such dead letter.")

const storeUnavailable = (cause: unknown): AppError =>
  new AppError("UNAVAILABLE", "Where it is kept cannot be reached now. Please try again.", {
    reason: "store_away",
    retryAfterSeconds: 10,
    cause,
  })

const NO_DETAILS = { job: null, eventId: null, attempts: null, responseStatus: null } as const

const showEvent = ({ id, error, attempts, receivedAt, isPayloadKept }: EventRow): DeadLetter => ({
  ...NO_DETAILS,
  kind: "event",
  id,
  reason: error,
  eventId: id,
  attempts,
  at: receivedAt.toISOString(),
  isRetryable: isPayloadKept,
})

const showMessage = (appUrl: string, message: DeadLetterMessage): DeadLetter => ({
  ...NO_DETAILS,
  kind: "message",
  id: message.dlqId,
  reason: message.reason ?? (message.responseStatus === null ? "no_answer" : `answered_${message.responseStatus}`),
  job: jobOf(appUrl, message),
  responseStatus: message.responseStatus,
  at: message.createdAt.toISOString(),
  isRetryable: true,
})

const showFallback = ({ id, reason }: RejectedDelivery): DeadLetter => ({
  ...NO_DETAILS,
  kind: "parked",
  id,
  reason,
  job: "ingest",
  at: new Date(Number(id.split("-")[0])).toISOString(),
  isRetryable: true,
})

/** The job that a message was for; null when the message is not this deployment's. */
function jobOf(appUrl: string, { url }: DeadLetterMessage): string | null {
  const prefix = `${appUrl}/jobs/`
  return url.startsWith(prefix) ? url.slice(prefix.length) : null
}

/** A cursor holds the kind and the position within it; the time of a list's position is not used. */
const cursorOf = (kind: Kind, inner: string | null): string =>
  encodeCursor({ at: new Date(0), id: `${kind} ${inner ?? ""}` })

function positionOf({ id }: ListPosition): { readonly kind: Kind; readonly inner: string | null } | null {
  const [, name, inner] = /^([a-z]+) ([\x20-\x7e]*)$/.exec(id) ?? []
  const kind = KINDS.find((candidate) => candidate === name)
  if (kind === undefined || inner === undefined) return null
  if (inner === "") return { kind, inner: null }
  const isValid =
    kind === "event" ? eventPosition(inner) !== null : kind === "message" || parkedId.safeParse(inner).success
  return isValid ? { kind, inner } : null
}

function eventPosition(inner: string): ListPosition | null {
  const [, time = "", id = ""] = /^([12]\d{3}-\S+Z) (\S+)$/.exec(inner) ?? []
  const at = new Date(time)
  return Number.isNaN(at.getTime()) || !z.uuid().safeParse(id).success ? null : { at, id }
}
