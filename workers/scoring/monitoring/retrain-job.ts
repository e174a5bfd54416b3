/**
 * Every hour one company that has not had its turn for a week: its challengers are judged by matured labels, and a new one is
 * made when none waits; see `workers/scoring/monitoring/retrain.ts`.
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
    // One company a run: training takes some seconds of processor time, and an invocation has only so much.
    const [companyId] = await nextCompanies(db, "retraining", new Date(now().getTime() - WEEK_MS), 1, companies)
    if (companyId === undefined) return done("nobody_due")
    // Noted first: a training that ends its invocation must not come again every hour.
    await recordMonitoringVisit(db, companyId, "retraining", now())
    const { outcome, ...counts } = await retrainCompany(services, companyId)
    return done(outcome, counts)
  },
})
