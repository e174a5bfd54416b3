/**
 * Nightly scoring of each customer with paid access, in steps of some hundred. The position is stored after each step, so
 * that a lost run, an outage or a spent budget only delays it. A run that does not finish asks QStash for another one; if
 * that fails, the next hourly heartbeat continues.
 */
import * as z from "zod"
import { isDatabaseUnavailable } from "../../db/client.ts"
import {
  advancePass,
  type CustomersToScore,
  customersToScore,
  findOrStartPass,
  type RescorePass,
} from "../../db/queries/scoring/rescore-pass.ts"
import { defineJob, done, LeaseLost } from "../platform/jobs/job.ts"
import { MANUAL_RUN } from "../platform/jobs/run.ts"
import { SCORE_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, type SwitchCondition } from "../platform/switches.ts"
import { scoreCustomers } from "./score.ts"

/** What the CPU time of one invocation on the smallest plan allows. */
const ROWS_MAX = 200

/** Nightly scoring starts at this hour, UTC. */
const SCORING_HOUR = 3
const HOUR_MS = 3_600_000

/** Long enough for this run to release its lease. */
const CONTINUE_AFTER_SECONDS = 5

/** Reading the next customers, storing the position, and requesting another run. */
const STEP_SUBREQUESTS = 3

/** Scheduled scoring sends no messages, so only the scheduler's switch stops it. */
const SCHEDULED_SCORING: SwitchCondition = { on: ["SCHEDULER_ENABLED"], off: [] }

export const rescore = defineJob({
  name: "rescore",
  payload: z.object({}),
  async run(_, services, progress) {
    const { budget, config, db } = services
    const companies = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), SCHEDULED_SCORING)
    if (companies?.length === 0) return done("switched_off")
    const startedAt = scoringDate(services.now())
    let pass = await findOrStartPass(db, startedAt.toISOString().slice(0, 10), services.now())
    if (pass.finishedAt !== null) return done("done_already")
    const counts = { scored: 0, notScored: 0, failed: 0 }
    for (let rows = 0; rows < ROWS_MAX; ) {
      await progress.extendLease()
      if (!budget.hasRoomFor(STEP_SUBREQUESTS + SCORE_SUBREQUESTS)) break
      const limit = Math.min(config.scoring.batchMax, ROWS_MAX - rows)
      const found = await customersToScore(db, pass, limit, companies)
      const step = await scoreStep(services, found, startedAt)
      rows += step.rows
      const isFinished = step.rows === found.length && found.length < limit
      const moved = await advancePass(db, pass, { ...step, isFinished, now: services.now() })
      if (!moved) throw new LeaseLost()
      for (const name of ["scored", "notScored", "failed"] as const) counts[name] += step[name]
      if (isFinished) return done("finished", counts)
      if (step.after !== null) pass = passMovedTo(pass, step.after)
      // The budget does not allow another company.
      if (step.rows < found.length) break
    }
    await requestNextRun(services)
    return done("to_be_continued", counts)
  },
})

/** The start of the nightly scoring that is current at `now`: the last `SCORING_HOUR`. */
export function scoringDate(now: Date): Date {
  const date = new Date(now.getTime() - SCORING_HOUR * HOUR_MS)
  date.setUTCHours(SCORING_HOUR, 0, 0, 0)
  return date
}

const passMovedTo = (pass: RescorePass, { companyId, customerId }: CustomersToScore): RescorePass => ({
  ...pass,
  afterCompany: companyId,
  afterCustomer: customerId,
})

interface Step {
  /** Customers processed, from the first on; the others wait for the next run. */
  readonly rows: number
  readonly after: CustomersToScore | null
  readonly scored: number
  readonly notScored: number
  readonly failed: number
}

/** Scores customers company by company, as far as the budget allows. Failures are counted and skipped. */
async function scoreStep(services: Services, found: readonly CustomersToScore[], startedAt: Date): Promise<Step> {
  const counts = { scored: 0, notScored: 0, failed: 0 }
  let rows = 0
  for (const [companyId, customers] of Map.groupBy(found, (customer) => customer.companyId)) {
    if (rows > 0 && !services.budget.hasRoomFor(STEP_SUBREQUESTS + SCORE_SUBREQUESTS)) break
    const names = customers.map(({ customerId }) => customerId)
    const ageMsMax = services.now().getTime() - startedAt.getTime()
    rows += customers.length
    try {
      const scored = await scoreCustomers(services, companyId, names, { trigger: "nightly", ageMsMax })
      for (const each of scored.values()) {
        if (each.score !== null) counts[each.score.notScored === null ? "scored" : "notScored"] += 1
        else counts[each.because === "no_paid_access" ? "notScored" : "failed"] += 1
      }
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error
      services.log.error("rescore_failed", { companyId, count: customers.length, error })
      counts.failed += customers.length
    }
  }
  return { rows, after: found[rows - 1] ?? null, ...counts }
}

/** Continues sooner than the next hourly heartbeat, which would continue anyway. */
async function requestNextRun({ config, log, newId, qstash }: Services): Promise<void> {
  try {
    await qstash.publish({
      url: `${config.appUrl}/jobs/rescore`,
      body: MANUAL_RUN,
      deduplicationId: `rescore-${newId()}`,
      delaySeconds: CONTINUE_AFTER_SECONDS,
    })
  } catch (error) {
    log.warn("rescore_continuation_failed", { job: "rescore", error })
  }
}
