/**
 * Every quarter of an hour: compares the providers' lists with what is recorded, and fetches what is missing. Reading is no
 * effect, so no switch stops it; fetched events follow the switches as any webhook does.
 */
import * as z from "zod"
import { defineJob, done } from "../platform/jobs/job.ts"
import { reconcile as reconcileTargets, targetsOf } from "./reconcile-accounts.ts"

/** No page is started after this: QStash waits for the answer, and a cron run of a Worker is limited too. */
const BUDGET_MS = 25_000

export const reconcile = defineJob({
  name: "reconcile",
  payload: z.object({}),
  async run(_, services) {
    const untilMs = services.now().getTime() + BUDGET_MS
    const request = { isRequested: false, withSubscriptions: false, since: null, untilMs }
    const { reports, failed, busy, postponed } = await reconcileTargets(services, await targetsOf(services), request)
    const counts = {
      checked: 0,
      missing: 0,
      fetched: 0,
      outOfReach: 0,
      differences: 0,
      repaired: 0,
      failed,
      busy,
      postponed,
    }
    for (const report of reports) {
      counts.checked += report.checked
      counts.missing += report.missing
      counts.fetched += report.fetched
      counts.outOfReach += report.outOfReach
      counts.differences += report.differences
      counts.repaired += report.repaired
    }
    return done("compared", counts)
  },
})
