/** Sends a chunk of one company's nudges; the rules are applied to each at this time. */
import * as z from "zod"
import { releaseLeases } from "../../../db/queries/recovery/nudges.ts"
import { defineJob, done, type RunHeartbeat } from "../../platform/jobs/job.ts"
import { NUDGE_SUBREQUESTS } from "../../platform/outbound/subrequests.ts"
import type { Services } from "../../platform/services.ts"
import { sendNudge } from "./send-nudge.ts"

/** A chunk ends well within QStash's time-out even when every channel is slow. */
export const NUDGES_PER_CHUNK = 20

/**
 * A Worker has at most six connections that wait for a response; further calls are queued. A nudge makes one call after the
 * other, so four leave two: for the switches, and for work after the response.
 */
const CONCURRENCY = 4

export const nudges = defineJob({
  name: "nudges",
  payload: z.object({
    companyId: z.string().max(64),
    nudgeIds: z.array(z.string().max(400)).max(NUDGES_PER_CHUNK),
    owner: z.string().max(64).nullable(),
  }),
  run: async ({ companyId, nudgeIds, owner }, services) =>
    done(
      "handled",
      await sendNudges(
        services,
        nudgeIds.map((id) => ({ companyId, id })),
        owner,
      ),
    ),
})

/**
 * Sends several nudges, a few at a time, and counts their outcomes. One that throws does not stop the others. Those for
 * which the invocation has no subrequests left are released unchanged, still due.
 */
export async function sendNudges(
  services: Services,
  wanted: readonly { readonly companyId: string; readonly id: string }[],
  dispatcher: string | null,
  progress?: RunHeartbeat,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const failures: unknown[] = []
  const waiting = [...wanted]
  while (waiting.length > 0) {
    await progress?.extendLease()
    const count = Math.min(CONCURRENCY, Math.floor(services.budget.room() / NUDGE_SUBREQUESTS))
    if (count === 0) break
    const outcomes = await Promise.allSettled(
      waiting.splice(0, count).map(({ companyId, id }) => sendNudge(services, companyId, id, dispatcher)),
    )
    for (const outcome of outcomes) {
      const result = outcome.status === "fulfilled" ? outcome.value : "thrown"
      counts[result] = (counts[result] ?? 0) + 1
      if (outcome.status === "rejected") failures.push(outcome.reason)
    }
  }
  if (waiting.length > 0) {
    counts.no_room = (counts.no_room ?? 0) + waiting.length
    if (dispatcher !== null) await releaseAll(services, waiting, dispatcher)
  }
  if (failures.length > 0) throw failures[0]
  return counts
}

/** Without subrequests even for this, the leases expire. */
async function releaseAll(
  { db, budget }: Services,
  waiting: readonly { readonly companyId: string }[],
  owner: string,
): Promise<void> {
  for (const companyId of new Set(waiting.map((nudge) => nudge.companyId))) {
    if (!budget.hasRoomFor(1)) return
    await releaseLeases(db, companyId, owner)
  }
}
