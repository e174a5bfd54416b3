/** `/api/events`: lists webhook events with their status, and replays them from the stored payload. */
import { Hono } from "hono"
import * as z from "zod"
import { type EventRow, listEvents, readEvent } from "../../../db/queries/webhooks/events.ts"
import { listUnmapped, readUnmapped, type UnmappedRow } from "../../../db/queries/webhooks/unmapped.ts"
import { PROVIDERS } from "../../../shared/domain/facts.ts"
import { AppError } from "../../platform/errors.ts"
import { isAllowed, requirePermission, withPermission } from "../../platform/http/auth.ts"
import { idText, listOf, pageFields, splitPage, validId, validJson, validQuery } from "../../platform/http/request.ts"
import type { AppEnv } from "../../platform/services.ts"
import { REPLAY_MAX, replayEvent, replayEvents } from "./replay-request.ts"
import { readPayload } from "./stored-payload.ts"

const STATUSES = [
  "received",
  "held",
  "processed",
  "unhandled",
  "failed",
  "dead",
] as const satisfies EventRow["status"][]

/** The status of unmapped events, which only operators see. */
const UNMAPPED = "unmapped_account"

const query = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    // Ids of events are UUIDs, so a cursor of a list with other ids is rejected.
    cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
      error: "expected a nextCursor of this list",
    }),
    status: z.enum([...STATUSES, UNMAPPED]).optional(),
    provider: z.enum(PROVIDERS).optional(),
    type: idText.optional(),
    apiVersion: idText.optional(),
    customerId: idText.optional(),
    providerEventId: idText.optional(),
  }),
)

/** A time in a range that Postgres accepts too. */
const moment = z.iso.datetime().regex(/^[12]\d{3}-/, "expected a time")

/** At least one filter, so that no request replays everything by accident. */
const replayBody = z.lazy(() =>
  z
    .strictObject({
      status: z.enum(STATUSES).optional(),
      provider: z.enum(PROVIDERS).optional(),
      type: idText.optional(),
      customerId: idText.optional(),
      since: moment.optional(),
      until: moment.optional(),
      limit: z.int().min(1).max(REPLAY_MAX).default(REPLAY_MAX),
    })
    .refine(({ limit: _, ...filter }) => Object.values(filter).some((value) => value !== undefined), {
      error: "name at least one of status, provider, type, customerId, since and until",
    }),
)

export const events = new Hono<AppEnv>()
  .get("/", withPermission("events:read"), validQuery(query), async (c) => {
    const { page, filter } = splitPage(c.req.valid("query"))
    const { status, ...rest } = filter
    const { db } = c.get("services")
    if (status === UNMAPPED) {
      requirePermission(c.get("principal"), "unmapped:read")
      return c.json(listOf(await listUnmapped(db, rest, page), showUnmapped))
    }
    return c.json(listOf(await listEvents(db, c.get("principal").companyId, { ...rest, status }, page), showEvent))
  })
  .get("/:id", withPermission("events:read"), validId(z.uuid()), async (c) => {
    const { db } = c.get("services")
    const { companyId, role } = c.get("principal")
    const { id } = c.req.valid("param")
    const event = await readEvent(db, companyId, id)
    if (event !== null) return c.json(showEvent(event))
    const unmapped = isAllowed(role, "unmapped:read") ? await readUnmapped(db, id) : null
    if (unmapped === null) throw new AppError("NOT_FOUND", "There is no such event.")
    return c.json(showUnmapped(unmapped))
  })
  .get("/:id/payload", withPermission("events:payload"), validId(z.uuid()), async (c) => {
    const { id } = c.req.valid("param")
    return c.json({ id, payload: await readPayload(c.get("services"), c.get("principal"), id) })
  })
  .post(
    "/:id/replay",
    withPermission("events:replay"),
    validId(z.uuid()),
    validJson(z.strictObject({}), { isOptional: true }),
    async (c) => {
      const { id } = c.req.valid("param")
      return c.json({ id, status: await replayEvent(c.get("services"), c.get("principal"), id) })
    },
  )
  .post("/replay", withPermission("events:replay"), validJson(replayBody), async (c) => {
    const { limit, since, until, ...filter } = c.req.valid("json")
    const span = { ...(since && { since: new Date(since) }), ...(until && { until: new Date(until) }) }
    const replay = await replayEvents(c.get("services"), c.get("principal"), { ...filter, ...span }, limit)
    const { queued, purged, isMore: more, lastReceivedAt } = replay
    return c.json(
      { matched: queued + purged, queued, purged, more, lastReceivedAt: lastReceivedAt?.toISOString() ?? null },
      202,
    )
  })

/** An event as the API shows it. */
const showEvent = (event: EventRow) => ({
  id: event.id,
  companyId: event.companyId,
  provider: event.provider,
  providerEventId: event.providerEventId,
  type: event.type,
  apiVersion: event.apiVersion,
  status: event.status,
  attempts: event.attempts,
  customerId: event.customerId,
  occurredAt: event.occurredAt.toISOString(),
  receivedAt: event.receivedAt.toISOString(),
  processedAt: event.processedAt?.toISOString() ?? null,
  error: event.error,
})

/** An unmapped event as the API shows it; `endpoint` is the company in the path that it was sent to. */
const showUnmapped = (event: UnmappedRow) => ({
  id: event.id,
  companyId: null,
  provider: event.provider,
  account: event.account,
  endpoint: event.path === "" ? null : event.path,
  providerEventId: event.providerEventId,
  type: event.type,
  apiVersion: event.apiVersion,
  status: UNMAPPED,
  attempts: 0,
  customerId: null,
  occurredAt: event.occurredAt.toISOString(),
  receivedAt: event.receivedAt.toISOString(),
  processedAt: null,
  error: UNMAPPED,
})
