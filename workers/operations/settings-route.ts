/** `/api/settings`: how a company reaches its members. */
import { Hono } from "hono"
import { postgresCode } from "../../db/client.ts"
import { readBrand } from "../../db/queries/messaging/brands.ts"
import { settingsOf as readSettings, saveSettings } from "../../db/queries/platform/companies.ts"
import type { Config } from "../../shared/config.ts"
import { awaitsApproval } from "../../shared/domain/messaging/brand.ts"
import { type CompanySettings, settingsOf } from "../../shared/domain/settings.ts"
import { isTrustedSender } from "../platform/credentials.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { settingsSchema } from "./settings-schema.ts"

export const settings = new Hono<AppEnv>()
  .get("/", withPermission("settings:read"), async (c) => {
    const { db, config } = c.get("services")
    const stored = await readSettings(db, c.get("principal").companyId)
    return c.json(effectiveSettings(settingsOf({ settings: stored }), config))
  })
  .put("/", withPermission("settings:write"), validJson(settingsSchema), async (c) => {
    const services = c.get("services")
    const { db, config, now, log } = services
    const { companyId, keyId } = c.get("principal")
    const saved = c.req.valid("json")
    try {
      await saveSettings(db, companyId, saved, now())
    } catch (error) {
      // An admin may name any company; settings belong to one that exists.
      if (postgresCode(error) === FOREIGN_KEY_VIOLATION) throw new AppError("NOT_FOUND", "There is no such company.")
      throw error
    }
    log.info("settings_saved", { companyId, keyId })
    const brand = saved.brandName === null ? null : await readBrand(db, companyId)
    const isTrusted = await isTrustedSender(services, companyId)
    if (brand !== null && awaitsApproval({ ...brand, brandName: saved.brandName, isTrusted })) {
      log.warn("brand_awaits_approval", { companyId, keyId })
    }
    return c.json(effectiveSettings(saved, config))
  })

/** The settings in effect: with the deployment's hold-out where the company sets none. */
const effectiveSettings = (own: CompanySettings, { holdoutPercentage }: Config): CompanySettings => ({
  ...own,
  holdoutPercentage: own.holdoutPercentage ?? holdoutPercentage,
})

const FOREIGN_KEY_VIOLATION = "23503"
