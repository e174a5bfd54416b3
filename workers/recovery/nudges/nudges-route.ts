/** `/api/nudges`: all nudges, including those whose case no longer exists. */
import { Hono } from "hono"
import * as z from "zod"
import { listNudges } from "../../../db/queries/recovery/nudge-list.ts"
import { CHANNELS } from "../../../shared/domain/facts.ts"
import { withPermission } from "../../platform/http/auth.ts"
import { idText, listOf, pageFields, splitPage, validQuery } from "../../platform/http/request.ts"
import type { AppEnv } from "../../platform/services.ts"
import { type publicNudgeStatus, showNudge } from "../cases-route.ts"

const STATUSES = ["planned", "sent", "failed", "suppressed", "unknown"] as const satisfies ReturnType<
  typeof publicNudgeStatus
>[]

const query = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    status: z.enum(STATUSES).optional(),
    channel: z.enum(CHANNELS).optional(),
    caseId: idText.optional(),
    customerId: idText.optional(),
  }),
)

export const nudges = new Hono<AppEnv>().get("/", withPermission("cases:read"), validQuery(query), async (c) => {
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
