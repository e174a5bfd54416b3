/** Closing a company, and opening it again (shared/domain/companies/closing.ts says what that means). */
import { setCompanyClosed } from "../../db/queries/companies/companies.ts"
import { holdUnfinishedEvents } from "../../db/queries/webhooks/event-status.ts"
import { OFF } from "../../shared/domain/flags.ts"
import { AppError } from "../platform/errors.ts"
import { changeFlag } from "../platform/flags.ts"
import { forgetCompany, forgetKeys } from "../platform/http/auth.ts"
import type { Services } from "../platform/services.ts"

/**
 * Closes a company, or opens it. Repeating it is safe, and completes one that failed on the way. Throws NOT_FOUND for a
 * company that does not exist, CONFLICT for the deployment's default one, UNAVAILABLE when no store took the switch.
 */
export async function setClosed(services: Services, companyId: string, isClosed: boolean, by: string): Promise<void> {
  const { config, db, log, now } = services
  if (isClosed && companyId === config.access.defaultCompanyId) {
    throw new AppError("CONFLICT", "This is the deployment's default company; change DEFAULT_COMPANY_ID first.", {
      reason: "default_company",
    })
  }
  const closed = await setCompanyClosed(db, companyId, isClosed ? now() : null, by)
  if (closed === null) throw new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })
  const value = closed.length === 0 ? OFF : { enabled: true, percentage: 0, allow: [...closed], deny: [] }
  const why = `${companyId} was ${isClosed ? "closed" : "opened"}`
  await changeFlag(services, "COMPANY_CLOSED", value, { who: by, why })
  if (isClosed) await holdUnfinishedEvents(db, companyId)
  forgetCompany(companyId)
  forgetKeys()
  log.warn(isClosed ? "company_closed" : "company_opened", { companyId, keyId: by })
}
