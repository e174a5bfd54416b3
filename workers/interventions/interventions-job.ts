/**
 * Every hour: closes at-risk cases whose risk is no longer current, closes payment cases without news for sixty days, and searches
 * each company's newest scores for members to whom contact is worth its cost. The cost grows with the number of companies
 * and of opened cases, not with the number of customers. Each company is processed at most once per hour, so a second
 * heartbeat, a lost run or a spent budget only changes when.
 */

import * as z from "zod"
import {
  closableRiskCases,
  companiesDueForRiskPass,
  loadRiskCandidates,
  type RiskCandidate,
} from "../../db/queries/interventions/at-risk.ts"
import { readUplift } from "../../db/queries/interventions/uplift.ts"
import { settingsOf as readSettings } from "../../db/queries/platform/companies.ts"
import { lapsingCases } from "../../db/queries/recovery/lapsing.ts"
import { loadStream } from "../../db/queries/recovery/stream.ts"
import {
  decideRisk,
  expectedValueMinor,
  highestPriced,
  RISK_DROP_SHARE,
  type RiskPolicy,
  type RiskScore,
  riskCloseReason,
  type SkipReason,
  upliftOf,
} from "../../shared/domain/interventions/risk-policy.ts"
import { lapsingSince } from "../../shared/domain/recovery/fold/lapse.ts"
import { grantsAccess } from "../../shared/domain/scoring/features/access.ts"
import { monthlyMinor } from "../../shared/domain/scoring/features/prices.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { findCase } from "../../shared/domain/state.ts"
import type { UpliftModel } from "../../shared/learning/uplift.ts"
import { defineJob, done, type RunHeartbeat } from "../platform/jobs/job.ts"
import {
  RISK_CASE_SUBREQUESTS,
  RISK_COMPANY_SUBREQUESTS,
  UPLIFT_SUBREQUESTS,
} from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, PROCESSING_SWITCH, type SwitchCondition } from "../platform/switches.ts"
import { advance } from "../recovery/advance.ts"
import { lapseCase } from "../recovery/lapse-case.ts"
import { stateOf } from "../recovery/stream-state.ts"
import { trainUpliftModel, upliftModelOf, upliftOfVector } from "./uplift.ts"

const HOUR_MS = 3_600_000

/** The two heartbeats of an hour are minutes apart; a little less than an hour makes the company due for the next hour. */
const COMPANY_INTERVAL_MS = 50 * 60_000

/** Nightly scoring covers every customer; a score that missed two nights is outdated. */
const FRESH_MS = 48 * HOUR_MS

/** Cases close every day, and a week of them may change the model. */
const TRAIN_EVERY_MS = 7 * 24 * HOUR_MS

/** Bounds of one run: cases closed for each reason, companies, and candidates read per company. */
const CLOSED_MAX = 200
const COMPANIES_MAX = 200
const CANDIDATES_MAX = 500

/** Cases close whether or not new ones may open. */
const CLOSING: SwitchCondition = { on: [...PROCESSING_SWITCH.on, "SCHEDULER_ENABLED"], off: PROCESSING_SWITCH.off }
/** Opening cases is an effect that a company must have enabled. */
const OPENING: SwitchCondition = {
  on: [...CLOSING.on, "AUTO_RETENTION_CAMPAIGNS"],
  off: [...CLOSING.off, "ROLLBACK_MODE"],
}

export const interventions = defineJob({
  name: "interventions",
  payload: z.object({}),
  async run(_, services, progress) {
    const flags = await services.flags({ isFreshNeeded: true })
    const counts = { ended: 0, lapsed: 0, companies: 0, learned: 0, opened: 0, leftAlone: 0, failed: 0, cutShort: 0 }
    const closing = await enabledCompanies(services, flags, CLOSING)
    if (closing?.length !== 0) {
      await closeRiskCases(services, progress, closing, counts)
      await lapseCases(services, progress, closing, counts)
    }
    const opening = await enabledCompanies(services, flags, OPENING)
    if (opening?.length !== 0) await openCases(services, progress, opening, counts)
    return done("looked_through", counts)
  },
})

type Counts = Record<
  "ended" | "lapsed" | "companies" | "learned" | "opened" | "leftAlone" | "failed" | "cutShort",
  number
>

async function closeRiskCases(
  services: Services,
  progress: RunHeartbeat,
  companies: readonly string[] | null,
  counts: Counts,
): Promise<void> {
  const { budget, db, log } = services
  const due = await closableRiskCases(db, {
    now: services.now(),
    dropShare: RISK_DROP_SHARE,
    limit: CLOSED_MAX,
    companies,
  })
  for (const { companyId, customerId, caseId, score } of due) {
    await progress.extendLease()
    if (!budget.hasRoomFor(RISK_CASE_SUBREQUESTS)) {
      counts.cutShort = 1
      return
    }
    try {
      const stream = await loadStream(db, companyId, customerId, { whole: true })
      const state = stream && stateOf(stream)
      const recoveryCase = state && findCase(state, caseId)
      if (!stream || !recoveryCase) continue
      const fact = riskCloseReason(state, recoveryCase, score, services.now().toISOString())
      if (fact === null) continue
      await advance(services, stream, { events: [], factIds: [], contactUpdates: [], ownFacts: [fact] })
      counts.ended += 1
    } catch (error) {
      counts.failed += 1
      log.warn("risk_case_close_failed", { companyId, caseId, error })
    }
  }
}

async function lapseCases(
  services: Services,
  progress: RunHeartbeat,
  companies: readonly string[] | null,
  counts: Counts,
): Promise<void> {
  const { budget, db, log } = services
  const since = lapsingSince(services.now())
  for (const candidate of await lapsingCases(db, { since, limit: CLOSED_MAX, companies })) {
    await progress.extendLease()
    if (!budget.hasRoomFor(RISK_CASE_SUBREQUESTS)) {
      counts.cutShort = 1
      return
    }
    try {
      if (await lapseCase(services, candidate)) counts.lapsed += 1
    } catch (error) {
      counts.failed += 1
      log.warn("case_not_lapsed", { companyId: candidate.companyId, caseId: candidate.caseId, error })
    }
  }
}

async function openCases(
  services: Services,
  progress: RunHeartbeat,
  companies: readonly string[] | null,
  counts: Counts,
): Promise<void> {
  const { budget, db, log } = services
  const before = new Date(services.now().getTime() - COMPANY_INTERVAL_MS)
  for (const companyId of await companiesDueForRiskPass(db, { before, limit: COMPANIES_MAX, companies })) {
    await progress.extendLease()
    if (!budget.hasRoomFor(RISK_COMPANY_SUBREQUESTS + RISK_CASE_SUBREQUESTS)) {
      counts.cutShort = 1
      return
    }
    try {
      await openFor(services, progress, companyId, counts)
      counts.companies += 1
    } catch (error) {
      counts.failed += 1
      log.warn("risk_company_failed", { companyId, error })
    }
  }
}

async function openFor(services: Services, progress: RunHeartbeat, companyId: string, counts: Counts): Promise<void> {
  const { budget, db, log } = services
  const { atRisk: policy } = settingsOf({ settings: await readSettings(db, companyId) })
  let uplift = await readUplift(db, companyId)
  const isDue = uplift === null || services.now().getTime() - uplift.trainedAt.getTime() > TRAIN_EVERY_MS
  // One company per run: training takes seconds of an invocation's limited CPU time.
  if (
    isDue &&
    counts.learned === 0 &&
    budget.hasRoomFor(UPLIFT_SUBREQUESTS + RISK_COMPANY_SUBREQUESTS + RISK_CASE_SUBREQUESTS)
  ) {
    counts.learned = 1
    uplift = await trainUpliftModel(services, companyId)
  }
  const model = upliftModelOf(uplift)
  const { candidates, openedToday } = await loadRiskCandidates(db, companyId, {
    ...{ now: services.now(), policy, freshMs: FRESH_MS, limit: CANDIDATES_MAX },
    confidenceMin: services.config.scoring.confidenceThreshold,
    withVectors: model !== null,
  })
  const reasons = new Map<SkipReason, number>()
  let remaining = Math.max(0, policy.casesPerDay - openedToday)
  for (const { candidate, score } of mostValuable(candidates, policy, model)) {
    if (remaining === 0) break
    await progress.extendLease()
    if (!budget.hasRoomFor(RISK_CASE_SUBREQUESTS)) {
      counts.cutShort = 1
      break
    }
    const stream = await loadStream(db, companyId, candidate.customerId, { whole: true })
    if (!stream) continue
    const decision = decideRisk(stateOf(stream), stream.nudges, score, policy, services.now().toISOString())
    if (decision.kind === "skip") {
      counts.leftAlone += 1
      reasons.set(decision.reason, (reasons.get(decision.reason) ?? 0) + 1)
      continue
    }
    await advance(services, stream, { events: [], factIds: [], contactUpdates: [], ownFacts: [decision.fact] })
    counts.opened += 1
    remaining -= 1
  }
  for (const [reason, count] of reasons) log.info("at_risk_skipped", { companyId, reason, count })
}

/** Candidates to whom contact is worth more than it costs, the most valuable first, since the number per day is limited. */
function mostValuable(
  candidates: readonly RiskCandidate[],
  policy: RiskPolicy,
  model: UpliftModel | null,
): { readonly candidate: RiskCandidate; readonly score: RiskScore }[] {
  return candidates
    .map((candidate) => {
      const { predictionId, modelVersion, probability, asOf, vector } = candidate
      const learnedUplift = model === null || vector === null ? null : upliftOfVector(model, vector)
      const score: RiskScore = { predictionId, modelVersion, asOf: asOf.toISOString(), probability, learnedUplift }
      const subscription = highestPriced(Object.values(candidate.subscriptions).filter(grantsAccess))
      const monthly = subscription ? (monthlyMinor(subscription) ?? 0) : 0
      return { candidate, score, value: expectedValueMinor(upliftOf(score, policy), monthly, policy) }
    })
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value || (a.candidate.customerId < b.candidate.customerId ? -1 : 1))
}
