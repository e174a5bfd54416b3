/**
 * Every hour, for companies whose models were not checked today: writes matured labels, measures the champion and raises
 * alarms; see `workers/scoring/monitoring/check.ts`.
 */
import * as z from "zod"
import { nextCompanies, recordMonitoringVisit } from "../../../db/queries/scoring/monitoring.ts"
import { defineJob, done, LeaseLost } from "../../platform/jobs/job.ts"
import type { Services } from "../../platform/services.ts"
import { enabledCompanies } from "../../platform/switches.ts"
import { CHECK_SUBREQUESTS, checkChampion } from "./check.ts"
import { recordLabels } from "./record-labels.ts"

/** Companies of one run; the next hour continues. */
const COMPANIES_MAX = 100
/** No company is started after this, because QStash waits for the response. */
const BUDGET_MS = 25_000

export const drift = defineJob({
  name: "drift",
  payload: z.object({}),
  async run(_, services, progress) {
    const { budget, db, log } = services
    const flags = await services.flags({ isFreshNeeded: true })
    const companies = await enabledCompanies(services, flags, { on: ["MODEL_DRIFT_DETECTION"], off: [] })
    if (companies?.length === 0) return done("switched_off")
    const startedAt = services.now()
    const untilMs = startedAt.getTime() + BUDGET_MS
    const counts = { companies: 0, labels: 0, checked: 0, alarms: 0, returned: 0, failed: 0, postponed: 0 }
    const due = await nextCompanies(db, "check", dayOf(startedAt), COMPANIES_MAX, companies)
    for (const [place, companyId] of due.entries()) {
      await progress.extendLease()
      if (!budget.hasRoomFor(CHECK_SUBREQUESTS) || services.now().getTime() > untilMs) {
        counts.postponed = due.length - place
        break
      }
      try {
        add(counts, await checkOne(services, companyId, untilMs))
      } catch (error) {
        if (error instanceof LeaseLost) throw error
        counts.failed += 1
        log.warn("model_check_failed", { companyId, error })
        // Retried tomorrow, so that one failing company does not delay the others.
        await recordMonitoringVisit(db, companyId, "check", services.now()).catch(() => undefined)
      }
    }
    return done("checked", counts)
  },
})

type Counts = Record<"companies" | "labels" | "checked" | "alarms" | "returned" | "failed" | "postponed", number>

function add(counts: Counts, more: Partial<Counts>): void {
  for (const [name, value] of Object.entries(more)) counts[name as keyof Counts] += value
}

/** Checks one company. It stays due while labels are missing, so that the next run continues with it. */
async function checkOne(services: Services, companyId: string, untilMs: number): Promise<Partial<Counts>> {
  const { labels, isComplete } = await recordLabels(services, companyId, untilMs)
  if (!isComplete || !services.budget.hasRoomFor(CHECK_SUBREQUESTS)) return { companies: 1, labels, postponed: 1 }
  const checked = await checkChampion(services, companyId)
  await recordMonitoringVisit(services.db, companyId, "check", services.now())
  if (checked === null) return { companies: 1, labels }
  return { companies: 1, labels, checked: 1, alarms: checked.raised, returned: Number(checked.returned) }
}

/** The start of the day in UTC. */
const dayOf = (at: Date): Date => new Date(Math.floor(at.getTime() / 86_400_000) * 86_400_000)
