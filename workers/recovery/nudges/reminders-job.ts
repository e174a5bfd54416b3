/**
 * Every five minutes: claims due nudges of all companies and publishes them to QStash in chunks of one company; then those
 * due before the next run, each chunk for its time. The cost depends on what is due, not on what is stored.
 */
import * as z from "zod"
import {
  type ClaimedNudge,
  claimDueNudges,
  releaseLeases,
  type UpcomingNudge,
  upcomingNudges,
} from "../../../db/queries/recovery/nudges.ts"
import { defineJob, done, type RunHeartbeat } from "../../platform/jobs/job.ts"
import { CHUNK_SUBREQUESTS } from "../../platform/outbound/subrequests.ts"
import type { Services } from "../../platform/services.ts"
import { enabledCompanies, SCHEDULER_SWITCH } from "../../platform/switches.ts"
import { PUBLISH_AHEAD_MS, publishNudges } from "./enqueue-nudges.ts"
import { NUDGES_PER_CHUNK } from "./nudges-job.ts"

/** Nudges per claim, and claims per run; the next run takes the rest. */
const CLAIM_MAX = 500
const CLAIMS_PER_RUN_MAX = 10

/** A chunk that QStash has not delivered by then can be claimed again. */
const DISPATCH_LEASE_MS = 120_000

/** Nudges that one run publishes ahead. */
const UPCOMING_MAX = 2_000

/** Nudges of a company that are due within this time are one chunk, delivered when the last of them is due. */
const CHUNK_WINDOW_MS = 30_000

export const reminders = defineJob({
  name: "reminders",
  payload: z.object({}),
  async run(_, services, progress) {
    const companies = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), SCHEDULER_SWITCH)
    if (companies?.length === 0) return done("switched_off")
    const counts = { due: 0, upcoming: 0, chunks: 0, notEnqueued: 0, cutShort: 0 }
    await dispatchDue(services, companies, progress, counts)
    await dispatchUpcoming(services, companies, progress, counts)
    return done("dispatched", counts)
  },
})

interface Counts {
  due: number
  upcoming: number
  chunks: number
  notEnqueued: number
  cutShort: number
}

/** Claims due nudges and publishes them at once. */
async function dispatchDue(
  services: Services,
  companies: readonly string[] | null,
  progress: RunHeartbeat,
  counts: Counts,
): Promise<void> {
  const { budget, db } = services
  for (let round = 0; round < CLAIMS_PER_RUN_MAX; round++) {
    await progress.extendLease()
    // Each nudge may be of another company, and so a chunk of its own.
    const limit = Math.min(CLAIM_MAX, Math.floor((budget.room() - 1) / CHUNK_SUBREQUESTS))
    if (limit <= 0) {
      counts.cutShort = 1
      return
    }
    const now = services.now()
    const lease = { owner: services.newId(), until: new Date(now.getTime() + DISPATCH_LEASE_MS) }
    const claimed = await claimDueNudges(db, { now, dueBefore: now, lease, limit, companies })
    counts.due += claimed.length
    for (const chunk of chunksByCompany(claimed, NUDGES_PER_CHUNK)) {
      counts.chunks += 1
      if (!(await dispatch(services, chunk, lease.owner))) counts.notEnqueued += chunk.nudgeIds.length
    }
    if (claimed.length < limit || counts.notEnqueued > 0) return
  }
}

/**
 * Publishes what is due before the next run. Nothing is claimed: a nudge may still change before its time, and a lost
 * QStash message must not block it; it is claimed when the message arrives.
 */
async function dispatchUpcoming(
  services: Services,
  companies: readonly string[] | null,
  progress: RunHeartbeat,
  counts: Counts,
): Promise<void> {
  const { budget, db } = services
  await progress.extendLease()
  // QStash has just failed, or there are no subrequests left for the query and one chunk.
  if (counts.notEnqueued > 0 || !budget.hasRoomFor(2)) return
  const now = services.now()
  const until = new Date(now.getTime() + PUBLISH_AHEAD_MS)
  const upcoming = await upcomingNudges(db, { now, until, limit: UPCOMING_MAX, companies })
  counts.upcoming = upcoming.length
  const run = services.newId()
  for (const { companyId, nudgeIds, notBefore } of chunksByTime(upcoming, NUDGES_PER_CHUNK)) {
    if (!budget.hasRoomFor(1)) {
      counts.cutShort = 1
      return
    }
    counts.chunks += 1
    // The id includes the run: chunks of two runs may start with the same nudge and contain different ones.
    const deduplicationId = `upcoming-${run}-${companyId}-${nudgeIds[0]}`
    if (!(await publishNudges(services, { companyId, nudgeIds, owner: null, deduplicationId, notBefore }))) {
      counts.notEnqueued += nudgeIds.length
      return
    }
  }
}

interface Chunk {
  readonly companyId: string
  readonly nudgeIds: readonly string[]
}

/** Claimed nudges by company, in chunks of at most `size`. */
export function chunksByCompany(claimed: readonly ClaimedNudge[], size: number): Chunk[] {
  return [...Map.groupBy(claimed, (nudge) => nudge.companyId)].flatMap(([companyId, nudges]) =>
    Array.from({ length: Math.ceil(nudges.length / size) }, (_, index) => ({
      companyId,
      nudgeIds: nudges.slice(index * size, (index + 1) * size).map((nudge) => nudge.id),
    })),
  )
}

/**
 * Upcoming nudges by company and time, in chunks of at most `size`, the earliest first. `notBefore` is when the last nudge
 * of a chunk is due.
 */
export function chunksByTime(
  upcoming: readonly UpcomingNudge[],
  size: number,
): (Chunk & { readonly notBefore: Date })[] {
  const slotOf = ({ dueAt }: UpcomingNudge): number => Math.floor(dueAt.getTime() / CHUNK_WINDOW_MS)
  return [...Map.groupBy(upcoming, slotOf)]
    .sort(([one], [other]) => one - other)
    .flatMap(([, inSlot]) => {
      const dueMs = new Map(inSlot.map(({ companyId, id, dueAt }) => [`${companyId} ${id}`, dueAt.getTime()]))
      return chunksByCompany(inSlot, size).map((chunk) => ({
        ...chunk,
        notBefore: new Date(Math.max(...chunk.nudgeIds.map((id) => dueMs.get(`${chunk.companyId} ${id}`) ?? 0))),
      }))
    })
}

/** False when QStash did not accept the chunk: its leases are released, for the sweep or the next run. */
async function dispatch(services: Services, { companyId, nudgeIds }: Chunk, owner: string): Promise<boolean> {
  const deduplicationId = `nudges-${owner}-${companyId}-${nudgeIds[0]}`
  const isPublished = await publishNudges(services, { companyId, nudgeIds, owner, deduplicationId, notBefore: null })
  if (!isPublished) await releaseLeases(services.db, companyId, owner)
  return isPublished
}
