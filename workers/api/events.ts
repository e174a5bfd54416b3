/** `/api/events`: what providers sent, how far it got, and once more from the stored payload. */
import { Hono } from "hono"
import { z } from "zod"
import { type EventRow, listEvents, readEvent } from "../../db/queries/events.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import { AppError } from "../errors.ts"
import { mayAct, PROCESSING } from "../pipeline/acting.ts"
import { reprocess } from "../pipeline/reprocess.ts"
import type { AppEnv } from "../services.ts"
import { permit } from "./auth.ts"
import { idText, listOf, pageFields, pathId, readBody, readQuery, splitPage } from "./request.ts"

const STATUSES = [
  "received",
  "held",
  "processed",
  "unhandled",
  "failed",
  "dead",
] as const satisfies EventRow["status"][]

export const PROVIDERS = ["stripe", "whop"] as const satisfies ProviderName[]

const query = z.strictObject({
  ...pageFields,
  // Events are ordered by ids of their own form, so that a cursor of another list is none here.
  cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
    error: "expected a nextCursor of this list",
  }),
  status: z.enum(STATUSES).optional(),
  provider: z.enum(PROVIDERS).optional(),
  type: idText.optional(),
  apiVersion: idText.optional(),
  customerId: idText.optional(),
  providerEventId: idText.optional(),
})

export const events = new Hono<AppEnv>()
  .get("/", permit("events:read"), async (c) => {
    const { page, filter } = splitPage(readQuery(c, query))
    return c.json(listOf(await listEvents(c.get("services").db, c.get("principal").companyId, filter, page), showEvent))
  })
  .get("/:id", permit("events:read"), async (c) => {
    const event = await readEvent(c.get("services").db, c.get("principal").companyId, pathId(c, z.uuid()))
    if (event === null) throw new AppError("NOT_FOUND", "There is no such event.")
    return c.json(showEvent(event))
  })
  .post("/:id/replay", permit("events:replay"), async (c) => {
    const services = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const id = pathId(c, z.uuid())
    await readBody(c, z.strictObject({}), { isOptional: true })
    const isProcessing = mayAct(await services.flags({ isFreshNeeded: true }), PROCESSING, companyId)
    if (!isProcessing) throw new AppError("CONFLICT", "Processing is switched off.", { reason: "switched_off" })

    const result = await reprocess(services, companyId, id)
    services.log.info("event_replayed", { companyId, eventId: id, keyId, outcome: result.kind })
    if (result.kind === "not_found") throw new AppError("NOT_FOUND", "There is no such event.")
    if (result.kind === "purged") {
      throw new AppError("CONFLICT", "The payload of this event is no longer kept.", { reason: "payload_purged" })
    }
    const event = await readEvent(services.db, companyId, id)
    return c.json({ id, status: event?.status ?? (result.kind === "finished" ? result.status : "failed") })
  })

/** An event as clients rely on it. */
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
