/** `/api/nudges`: what was planned, sent or left to a person, also where the case is none any more. */
import { Hono } from "hono"
import * as z from "zod"
import { listNudges } from "../../db/queries/nudge-list.ts"
import type { ChannelName } from "../../shared/domain/facts.ts"
import type { AppEnv } from "../services.ts"
import { permit } from "./auth.ts"
import { showNudge, type shownStatus } from "./cases.ts"
import { idText, listOf, pageFields, splitPage, validQuery } from "./request.ts"

const STATUSES = ["planned", "sent", "failed", "suppressed", "unknown"] as const satisfies ReturnType<
  typeof shownStatus
>[]
const CHANNELS = ["email", "sms", "push", "dm", "slack"] as const satisfies ChannelName[]

const query = z.strictObject({
  ...pageFields,
  status: z.enum(STATUSES).optional(),
  channel: z.enum(CHANNELS).optional(),
  caseId: idText.optional(),
  customerId: idText.optional(),
})

export const nudges = new Hono<AppEnv>().get("/", permit("cases:read"), validQuery(query), async (c) => {
  const { page, filter } = splitPage(c.req.valid("query"))
  const found = await listNudges(c.get("services").db, c.get("principal").companyId, filter, page)
  return c.json(
    listOf(found, (nudge) => ({
      ...showNudge(nudge),
      companyId: nudge.companyId,
      caseId: nudge.caseId,
      customerId: nudge.customerId,
    })),
  )
})
