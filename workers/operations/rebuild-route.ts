/**
 * `/api/rebuild`: compares the stored states with the ledgers, page by page, and stores the rebuilt states on request.
 */
import { Hono } from "hono"
import * as z from "zod"
import { withPermission } from "../platform/http/auth.ts"
import { idText, validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { requireProcessingEnabled } from "../platform/switches.ts"
import { rebuildPage } from "./rebuild.ts"

/** Each customer's whole ledger is read. */
const CUSTOMERS_MAX = 50
const CUSTOMERS_DEFAULT = 20

/** A case that opened longer ago gets no nudges: its first message would present old news as new. */
const NUDGE_AGE_HOURS_DEFAULT = 48
const NUDGE_AGE_HOURS_MAX = 14 * 24
const HOUR_MS = 3_600_000

const request = z.strictObject({
  after: idText.nullable().default(null),
  limit: z.int().min(1).max(CUSTOMERS_MAX).default(CUSTOMERS_DEFAULT),
  apply: z.boolean().default(false),
  nudgeAgeHours: z.int().min(0).max(NUDGE_AGE_HOURS_MAX).default(NUDGE_AGE_HOURS_DEFAULT),
})

export const rebuild = new Hono<AppEnv>().post(
  "/",
  withPermission("events:replay"),
  validJson(request, { isOptional: true }),
  async (c) => {
    const services = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { nudgeAgeHours, ...wanted } = c.req.valid("json")
    if (wanted.apply) await requireProcessingEnabled(services, companyId)
    const noNudgesBefore = new Date(services.now().getTime() - nudgeAgeHours * HOUR_MS)
    const page = await rebuildPage(services, companyId, { ...wanted, noNudgesBefore })
    if (wanted.apply) services.log.info("rebuild_requested", { companyId, keyId, count: page.differing.length })
    return c.json(page)
  },
)
