/**
 * Every hour, for one company that was not processed for a week: evaluates its challengers on matured labels, and trains a
 * new one if none is pending; see `workers/scoring/monitoring/retrain.ts`.
 */
import * as z from "zod"
import { nextCompanies, recordMonitoringVisit } from "../../../db/queries/scoring/monitoring.ts"
import { defineJob, done } from "../../platform/jobs/job.ts"
import { enabledCompanies } from "../../platform/switches.ts"
import { RETRAIN_SUBREQUESTS, retrainCompany } from "./retrain.ts"

const WEEK_MS = 7 * 86_400_000

export const retrain = defineJob({
  name: "retrain",
  payload: z.object({}),
  async run(_, services) {
    const { budget, db, now } = services
    const flags = await services.flags({ isFreshNeeded: true })
    const companies = await enabledCompanies(services, flags, { on: ["MODEL_DRIFT_DETECTION"], off: [] })
    if (companies?.length === 0) return done("switched_off")
    if (!budget.hasRoomFor(RETRAIN_SUBREQUESTS + 2)) return done("no_room")
    // One company per run: training takes seconds of an invocation's limited CPU time.
    const [companyId] = await nextCompanies(db, "retraining", new Date(now().getTime() - WEEK_MS), 1, companies)
    if (companyId === undefined) return done("nobody_due")
    // Recorded first, so that a training that exceeds its invocation's limits is not repeated every hour.
    await recordMonitoringVisit(db, companyId, "retraining", now())
    const { outcome, ...counts } = await retrainCompany(services, companyId)
    return done(outcome, counts)
  },
})
