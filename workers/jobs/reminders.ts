/**
 * Every five minutes: takes what is due, of all companies, and hands it to QStash in chunks of one company each. Cost
 * follows what is due, never what is stored.
 */
import * as z from "zod"
import { type ClaimedNudge, claimDueNudges, releaseLeases } from "../../db/queries/nudges.ts"
import { CHUNK_COST } from "../outbound/costs.ts"
import { companiesWhere, SCHEDULING } from "../pipeline/acting.ts"
import { DELIVERY_TIMEOUT_SECONDS, PARALLELISM_PER_COMPANY } from "../pipeline/enqueue.ts"
import type { Services } from "../services.ts"
import { defineJob, done } from "./job.ts"
import { NUDGES_PER_CHUNK } from "./nudges.ts"

/** One claim statement, and how many of them one run makes; the next run takes what is left. */
const CLAIM_MAX = 500
const CLAIMS_PER_RUN_MAX = 10

/** A chunk that QStash has not delivered by then is free to be taken again. */
const DISPATCH_LEASE_MS = 120_000

export const reminders = defineJob({
  name: "reminders",
  payload: z.object({}),
  async run(_, services, progress) {
    const { budget, db } = services
    const companies = await companiesWhere(services, await services.flags({ isFreshNeeded: true }), SCHEDULING)
    if (companies?.length === 0) return done("switched_off")
    const counts = { due: 0, chunks: 0, notEnqueued: 0, cutShort: 0 }
    for (let round = 0; round < CLAIMS_PER_RUN_MAX; round++) {
      await progress.beat()
      // Each of them may be of a company of its own, and so a chunk of its own.
      const limit = Math.min(CLAIM_MAX, Math.floor((budget.room() - 1) / CHUNK_COST))
      if (limit <= 0) {
        counts.cutShort = 1
        break
      }
      const now = services.now()
      const lease = { owner: services.newId(), until: new Date(now.getTime() + DISPATCH_LEASE_MS) }
      const claimed = await claimDueNudges(db, { now, dueBefore: now, lease, limit, companies })
      counts.due += claimed.length
      for (const chunk of chunksByCompany(claimed, NUDGES_PER_CHUNK)) {
        counts.chunks += 1
        if (!(await dispatch(services, chunk, lease.owner))) counts.notEnqueued += chunk.nudgeIds.length
      }
      if (claimed.length < limit || counts.notEnqueued > 0) break
    }
    return done("dispatched", counts)
  },
})

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

/** False when QStash did not take the chunk: its nudges are free again, for the sweeper or the next run. */
async function dispatch(services: Services, { companyId, nudgeIds }: Chunk, owner: string): Promise<boolean> {
  const { config, db, qstash, log } = services
  try {
    await qstash.publish({
      url: `${config.appUrl}/jobs/nudges`,
      body: { companyId, nudgeIds, owner },
      deduplicationId: `nudges-${owner}-${companyId}-${nudgeIds[0]}`,
      flowControl: { key: `nudges-${companyId}`, parallelism: PARALLELISM_PER_COMPANY },
      deliveryTimeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
    })
    return true
  } catch (error) {
    log.warn("chunk_not_enqueued", { companyId, count: nudgeIds.length, error })
    await releaseLeases(db, companyId, owner)
    return false
  }
}
