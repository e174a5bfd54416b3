/** Scoring because something happened: after the answer, after the fold, and only while there is room for it. */
import { SCORE_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { scoreCustomers } from "./score.ts"

/** Customers of one event, or of one batch of signals: who is beyond is scored at night. */
const CUSTOMERS_MAX = 25

/**
 * Scores these customers anew while `REAL_TIME_PREDICTIONS` is on for the company. Never throws: what fails here is done
 * by the next request or the night.
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
    // What it may cost is kept from others only until it begins: its own calls count as they are made.
    const hold = budget.reserve(SCORE_SUBREQUESTS)
    if (hold === null) return void log.info("rescore_deferred_to_schedule", { companyId, reason: "budget_spent" })
    hold.release()
    await scoreCustomers(services, companyId, customerIds.slice(0, CUSTOMERS_MAX), { trigger: "event", ageMsMax: 0 })
  } catch (error) {
    log.warn("rescore_failed", { companyId, count: customerIds.length, error })
  }
}
