/**
 * Every five minutes: takes what is due, of all companies, and hands it to QStash in chunks of one company each; then what
 * falls due before the next run, each chunk for its time. Cost follows what is due, never what is stored.
 */
import * as z from "zod"
import {
  type ClaimedNudge,
  claimDueNudges,
  releaseLeases,
  type UpcomingNudge,
  upcomingNudges,
} from "../../db/queries/recovery/nudges.ts"
import { defineJob, done, type RunHeartbeat } from "../platform/jobs/job.ts"
import { CHUNK_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, SCHEDULER_SWITCH } from "../platform/switches.ts"
import { PUBLISH_AHEAD_MS, publishNudges } from "./enqueue-nudges.ts"
import { NUDGES_PER_CHUNK } from "./nudges-job.ts"

/** One claim statement, and how many of them one run makes; the next run takes what is left. */
const CLAIM_MAX = 500
const CLAIMS_PER_RUN_MAX = 10

/** A chunk that QStash has not delivered by then is free to be taken again. */
const DISPATCH_LEASE_MS = 120_000

/** Nudges that one run hands over ahead of their time. */
const UPCOMING_MAX = 2_000

/** Nudges of a company that fall due within this time are one chunk, delivered when the last of them is due. */
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

/** Claims what is due and hands it over at once. */
async function dispatchDue(
  services: Services,
  companies: readonly string[] | null,
  progress: RunHeartbeat,
  counts: Counts,
): Promise<void> {
  const { budget, db } = services
  for (let round = 0; round < CLAIMS_PER_RUN_MAX; round++) {
    await progress.extendLease()
    // Each of them may be of a company of its own, and so a chunk of its own.
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
 * Hands over what falls due before the next run. Nothing is claimed: a nudge may still change before its time, and a
 * message that gets lost keeps nobody from sending it; it is claimed and judged when the message comes.
 */
async function dispatchUpcoming(
  services: Services,
  companies: readonly string[] | null,
  progress: RunHeartbeat,
  counts: Counts,
): Promise<void> {
  const { budget, db } = services
  await progress.extendLease()
  // QStash refused a moment ago, or there is no room for the question and one chunk.
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
    // The run is part of the id: chunks of two runs may begin with the same nudge and hold different ones.
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

/** What was claimed, by company, in pieces of `size` at most. */
export function chunksByCompany(claimed: readonly ClaimedNudge[], size: number): Chunk[] {
  return [...Map.groupBy(claimed, (nudge) => nudge.companyId)].flatMap(([companyId, nudges]) =>
    Array.from({ length: Math.ceil(nudges.length / size) }, (_, index) => ({
      companyId,
      nudgeIds: nudges.slice(index * size, (index + 1) * size).map((nudge) => nudge.id),
    })),
  )
}

/**
 * What is to come, by company and time, in pieces of `size` at most, the earliest first. `notBefore` is when the last of a
 * piece is due.
 */
export function chunksByTime(
  upcoming: readonly UpcomingNudge[],
  size: number,
): (Chunk & { readonly notBefore: Date })[] {
  const slotOf = ({ dueAt }: UpcomingNudge): number => Math.floor(dueAt.getTime() / CHUNK_WINDOW_MS)
  return [...Map.groupBy(upcoming, slotOf)]
    .sort(([one], [other]) => one - other)
    .flatMap(([, together]) => {
      const dueMs = new Map(together.map(({ companyId, id, dueAt }) => [`${companyId} ${id}`, dueAt.getTime()]))
      return chunksByCompany(together, size).map((chunk) => ({
        ...chunk,
        notBefore: new Date(Math.max(...chunk.nudgeIds.map((id) => dueMs.get(`${chunk.companyId} ${id}`) ?? 0))),
      }))
    })
}

/** False when QStash did not take the chunk: its nudges are free again, for the sweeper or the next run. */
async function dispatch(services: Services, { companyId, nudgeIds }: Chunk, owner: string): Promise<boolean> {
  const deduplicationId = `nudges-${owner}-${companyId}-${nudgeIds[0]}`
  const isTaken = await publishNudges(services, { companyId, nudgeIds, owner, deduplicationId, notBefore: null })
  if (!isTaken) await releaseLeases(services.db, companyId, owner)
  return isTaken
}
