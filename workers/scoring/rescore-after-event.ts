/** Scoring after an event: runs after the response and the fold, and only while the subrequest budget allows it. */
import { SCORE_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { scoreCustomers } from "./score.ts"

/** Customers scored after one event or batch of signals; the others wait for nightly scoring. */
const CUSTOMERS_MAX = 25

/**
 * Scores these customers again if `REAL_TIME_PREDICTIONS` is on for the company. Never throws: after a failure the next
 * request or nightly scoring does it.
 */
export async function rescoreAfterEvent(
  services: Services,
  companyId: string,
  customerIds: readonly string[],
): Promise<void> {
  const { budget, log } = services
  if (customerIds.length === 0) return
  try {
    if (!(await services.flags()).isOn("REAL_TIME_PREDICTIONS", companyId)) return
    // Reserved only until scoring starts, because its calls are then counted as they are made.
    const reservation = budget.reserve(SCORE_SUBREQUESTS)
    if (reservation === null)
      return void log.info("rescore_deferred_to_schedule", { companyId, reason: "budget_spent" })
    reservation.release()
    await scoreCustomers(services, companyId, customerIds.slice(0, CUSTOMERS_MAX), { trigger: "event", ageMsMax: 0 })
  } catch (error) {
    log.warn("rescore_failed", { companyId, count: customerIds.length, error })
  }
}
