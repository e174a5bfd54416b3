/**
 * Every night each customer who has something to leave is scored, some hundred at a time: how far the night's pass has come
 * is written down after each step, so that a lost run, an outage or a spent budget only delays it. A run that does not come
 * to the end asks QStash for the next one; the heartbeats of every hour go on where that fails.
 */
import * as z from "zod"
import { isDatabaseUnavailable } from "../../db/client.ts"
import {
  advancePass,
  type CustomersToScore,
  customersToScore,
  findOrStartPass,
  type RescorePass,
} from "../../db/queries/scoring/scores.ts"
import { defineJob, done, LeaseLost } from "../platform/jobs/job.ts"
import { MANUAL_RUN } from "../platform/jobs/run.ts"
import { SCORE_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, type SwitchCondition } from "../platform/switches.ts"
import { scoreCustomers } from "./score.ts"

/** What one invocation of the smallest plan has processor time for. */
const ROWS_MAX = 200

/** The pass of a night begins at this hour, UTC. */
const SCORING_HOUR = 3
const HOUR_MS = 3_600_000

/** By then this run has given its lease back. */
const CONTINUE_AFTER_SECONDS = 5

/** Looking for the next customers, moving the pass on, and asking for another run. */
const STEP_SUBREQUESTS = 3

/** Scoring by the clock is nothing that anybody is told of, so that only the clock's own switch stops it. */
const SCHEDULED_SCORING: SwitchCondition = { on: ["SCHEDULER_ENABLED"], off: [] }

export const rescore = defineJob({
  name: "rescore",
  payload: z.object({}),
  async run(_, services, progress) {
    const { budget, config, db } = services
    const companies = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), SCHEDULED_SCORING)
    if (companies?.length === 0) return done("switched_off")
    const begunAt = scoringDate(services.now())
    let pass = await findOrStartPass(db, begunAt.toISOString().slice(0, 10), services.now())
    if (pass.finishedAt !== null) return done("done_already")
    const counts = { scored: 0, notScored: 0, failed: 0 }
    for (let rows = 0; rows < ROWS_MAX; ) {
      await progress.extendLease()
      if (!budget.hasRoomFor(STEP_SUBREQUESTS + SCORE_SUBREQUESTS)) break
      const limit = Math.min(config.scoring.batchMax, ROWS_MAX - rows)
      const found = await customersToScore(db, pass, limit, companies)
      const step = await scoreStep(services, found, begunAt)
      rows += step.rows
      const isFinished = step.rows === found.length && found.length < limit
      const moved = await advancePass(db, pass, { ...step, isFinished, now: services.now() })
      if (!moved) throw new LeaseLost()
      for (const name of ["scored", "notScored", "failed"] as const) counts[name] += step[name]
      if (isFinished) return done("finished", counts)
      if (step.after !== null) pass = passMovedTo(pass, step.after)
      // No room for even one more company.
      if (step.rows < found.length) break
    }
    await goOn(services)
    return done("to_be_continued", counts)
  },
})

/** When the night began whose pass it is time for. */
export function scoringDate(now: Date): Date {
  const night = new Date(now.getTime() - SCORING_HOUR * HOUR_MS)
  night.setUTCHours(SCORING_HOUR, 0, 0, 0)
  return night
}

const passMovedTo = (pass: RescorePass, { companyId, customerId }: CustomersToScore): RescorePass => ({
  ...pass,
  afterCompany: companyId,
  afterCustomer: customerId,
})

interface Step {
  /** Customers that were looked at, from the first on; the others wait for the next run. */
  readonly rows: number
  readonly after: CustomersToScore | null
  readonly scored: number
  readonly notScored: number
  readonly failed: number
}

/** Scores customers company by company, as far as there is room. What fails is counted and passed over. */
async function scoreStep(services: Services, found: readonly CustomersToScore[], begunAt: Date): Promise<Step> {
  const counts = { scored: 0, notScored: 0, failed: 0 }
  let rows = 0
  for (const [companyId, customers] of Map.groupBy(found, (customer) => customer.companyId)) {
    if (rows > 0 && !services.budget.hasRoomFor(STEP_SUBREQUESTS + SCORE_SUBREQUESTS)) break
    const names = customers.map(({ customerId }) => customerId)
    const ageMsMax = services.now().getTime() - begunAt.getTime()
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

/** The heartbeat of the next hour goes on anyway; this is only sooner. */
async function goOn({ config, log, newId, qstash }: Services): Promise<void> {
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
