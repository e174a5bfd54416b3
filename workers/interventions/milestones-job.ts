/**
 * Every hour: records milestones that are reached by date, and announces them to teams that have announcements enabled. The
 * cost grows with what is due, not with what is stored. Members get no message.
 */

import * as z from "zod"
import {
  claimAnnouncements,
  companiesWithAnnouncements,
  companiesWithMilestonesDue,
  finishAnnouncements,
  loadDueMilestones,
  type MilestoneRow,
  recordDueMilestones,
} from "../../db/queries/interventions/milestones.ts"
import { safeKey } from "../../shared/crypto/plain-key.ts"
import { nextMilestoneAt, reachedByTime } from "../../shared/domain/interventions/milestones.ts"
import type { SendOutcome } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { EMPTY_STATE } from "../../shared/domain/state.ts"
import { defineJob, done, type RunHeartbeat } from "../platform/jobs/job.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, NOTIFICATIONS_SWITCH, PROCESSING_SWITCH } from "../platform/switches.ts"
import { announcementOf } from "./milestone-message.ts"

/** Due customers and announcements of one run; the next run continues. */
const DUE_MAX = 2_000
/** Customers whose states one request reads. Bounds the answer's size. */
const CUSTOMERS_PER_BATCH = 50
/** Milestones in one message: as many lines as an alert shows. */
const ANNOUNCEMENTS_MAX = 10

/** Batches per company in one run; the next run continues. */
const BATCHES_MAX = DUE_MAX / CUSTOMERS_PER_BATCH

/** Reading a batch, and writing its milestones. */
const BATCH_SUBREQUESTS = 2
/** Claiming announcements, one message with one retry, and recording the outcome. */
const MESSAGE_SUBREQUESTS = 4

export const milestones = defineJob({
  name: "milestones",
  payload: z.object({}),
  async run(_, services, progress) {
    const counts = { recorded: 0, announced: 0, postponed: 0 }
    await recordDue(services, progress, counts)
    await announce(services, progress, counts)
    return done("recorded", counts)
  },
})

type Counts = Record<"recorded" | "announced" | "postponed", number>

async function recordDue(services: Services, progress: RunHeartbeat, counts: Counts): Promise<void> {
  const { budget, db } = services
  const allowed = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH)
  if (allowed?.length === 0) return
  for (const companyId of await companiesWithMilestonesDue(db, services.now(), DUE_MAX, allowed)) {
    for (let batch = 0, isMore = true; isMore && batch < BATCHES_MAX; batch++) {
      await progress.extendLease()
      if (!budget.hasRoomFor(BATCH_SUBREQUESTS)) {
        counts.postponed += 1
        return
      }
      isMore = await recordBatch(services, companyId, counts)
    }
  }
}

/** Records due milestones of one batch of a company's customers; true when more may be due. */
async function recordBatch({ db, now }: Services, companyId: string, counts: Counts): Promise<boolean> {
  const at = now()
  const due = await loadDueMilestones(db, companyId, at, CUSTOMERS_PER_BATCH)
  if (due.customers.length === 0) return false
  const { milestones: wanted } = settingsOf(due)
  const found = due.customers.map(({ id, state, dueAt }) => {
    const since = { since: dueAt.toISOString(), now: at.toISOString() }
    return {
      ...{ customerId: id, dueAt, reached: reachedByTime(state ?? EMPTY_STATE, wanted, since) },
      nextAt: nextMilestoneAt(state ?? EMPTY_STATE, wanted, since.now),
    }
  })
  await recordDueMilestones(db, companyId, found, { isAnnounced: wanted.announce, now: at })
  counts.recorded += found.reduce((sum, { reached }) => sum + reached.length, 0)
  return due.customers.length === CUSTOMERS_PER_BATCH
}

async function announce(services: Services, progress: RunHeartbeat, counts: Counts): Promise<void> {
  const { budget, db, log } = services
  const allowed = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH)
  if (allowed?.length === 0) return
  for (const companyId of await companiesWithAnnouncements(db, DUE_MAX, allowed)) {
    await progress.extendLease()
    if (!budget.hasRoomFor(MESSAGE_SUBREQUESTS)) {
      counts.postponed += 1
      return
    }
    const { slack } = await services.channelsFor(companyId)
    if (!slack.isConfigured) continue
    const rows = await claimAnnouncements(db, companyId, services.now(), ANNOUNCEMENTS_MAX)
    const [first] = rows
    if (first === undefined) continue
    const idempotencyKey = await safeKey(`${companyId}.milestone.${first.customerId}.${first.key}`)
    const outcome = await slack.send(announcementOf(rows), { idempotencyKey })
    const status = announcementStatusOf(outcome, rows, services.now())
    await finishAnnouncements(db, companyId, rows, status)
    log.info("milestones_announced", { companyId, count: rows.length, outcome: outcome.kind })
    if (status === "sent") counts.announced += rows.length
  }
}

/** An announcement that could not be sent for two days is outdated. */
const ANNOUNCE_WITHIN_MS = 2 * 86_400_000

function announcementStatusOf(outcome: SendOutcome, rows: readonly MilestoneRow[], now: Date) {
  if (outcome.kind === "sent") return "sent"
  if (outcome.kind === "unknown") return "unknown"
  const oldestMs = Math.min(...rows.map(({ recordedAt }) => recordedAt.getTime()))
  return outcome.kind === "retry" && now.getTime() - oldestMs < ANNOUNCE_WITHIN_MS ? "planned" : "failed"
}
