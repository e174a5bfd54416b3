/** `/api/settings/brand`: the name that a company's messages show, and an operator's approval of it. */

import { type Context, Hono } from "hono"
import * as z from "zod"
import { type BrandDecision, decideBrand, readBrand } from "../../db/queries/messaging/brands.ts"
import { awaitsApproval, normalizeBrand, shownBrand } from "../../shared/domain/messaging/brand.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { brandName } from "../operations/settings-schema.ts"
import { isTrustedSender } from "../platform/credentials.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { reasonText, validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"

const decision = z.strictObject({
  /** The exact name, so that a company cannot change it while the operator decides. */
  name: brandName,
  /** False withdraws an approval. */
  isApproved: z.boolean().default(true),
  reason: reasonText,
})

export const brand = new Hono<AppEnv>()
  .get("/", withPermission("settings:read"), async (c) => c.json(await brandOf(c)))
  .put("/approval", withPermission("brands:write"), validJson(decision), async (c) => {
    const { db, log, newId, now } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { name, isApproved, reason } = c.req.valid("json")
    await requireCompany(c)
    await decideBrand(db, {
      ...{ companyId, id: newId(), name: normalizeBrand(name), isApproved },
      ...{ who: keyId, why: reason, at: now() },
    })
    log.info("brand_decided", { companyId, keyId, outcome: isApproved ? "approved" : "refused" })
    return c.json(await brandOf(c))
  })

async function requireCompany(c: Context<AppEnv>) {
  const { db } = c.get("services")
  const found = await readBrand(db, c.get("principal").companyId)
  if (found === null) throw new AppError("NOT_FOUND", "There is no such company.")
  return found
}

async function brandOf(c: Context<AppEnv>) {
  const services = c.get("services")
  const { companyId, role } = c.get("principal")
  const { companyName, approved, decisions, settings } = await requireCompany(c)
  const { brandName: chosen } = settingsOf({ settings })
  const isTrusted = await isTrustedSender(services, companyId)
  const input = { brandName: chosen, companyName, isTrusted, approved }
  return {
    brandName: chosen,
    shownName: shownBrand(input),
    isWaiting: awaitsApproval(input),
    approved,
    decisions: decisions.map((each) => showDecision(each, role === "operator")),
  }
}

const showDecision = ({ name, isApproved, who, why, at }: BrandDecision, isOperator: boolean) => ({
  ...{ name, isApproved, at: at.toISOString() },
  ...(isOperator && { who, why }),
})
