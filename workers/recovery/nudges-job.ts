/** Sends a chunk of one company's nudges; each is judged anew at this moment. */
import * as z from "zod"
import { releaseLeases } from "../../db/queries/recovery/nudges.ts"
import { defineJob, done, type RunHeartbeat } from "../platform/jobs/job.ts"
import { NUDGE_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { sendNudge } from "./send-nudge.ts"

/** A chunk is done well within QStash's time-out even when every channel is slow. */
export const NUDGES_PER_CHUNK = 20

/**
 * A Worker has six connections that wait for an answer at a time, and further calls wait for one of them. A nudge makes one
 * call after the other, so four leave two: for the switches, and for what is told after the answer.
 */
const AT_ONCE = 4

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
 * Sends several nudges, a few at a time, and counts how each ended. One that throws does not keep the others back. Those
 * for which the invocation has no room left are given back as they are, still due.
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
    const together = Math.min(AT_ONCE, Math.floor(services.budget.room() / NUDGE_SUBREQUESTS))
    if (together === 0) break
    const outcomes = await Promise.allSettled(
      waiting.splice(0, together).map(({ companyId, id }) => sendNudge(services, companyId, id, dispatcher)),
    )
    for (const outcome of outcomes) {
      const word = outcome.status === "fulfilled" ? outcome.value : "thrown"
      counts[word] = (counts[word] ?? 0) + 1
      if (outcome.status === "rejected") failures.push(outcome.reason)
    }
  }
  if (waiting.length > 0) {
    counts.no_room = (counts.no_room ?? 0) + waiting.length
    if (dispatcher !== null) await returnToPlan(services, waiting, dispatcher)
  }
  if (failures.length > 0) throw failures[0]
  return counts
}

/** Where there is no room even for this the leases run out by themselves. */
async function returnToPlan(
  { db, budget }: Services,
  waiting: readonly { readonly companyId: string }[],
  owner: string,
): Promise<void> {
  for (const companyId of new Set(waiting.map((nudge) => nudge.companyId))) {
    if (!budget.hasRoomFor(1)) return
    await releaseLeases(db, companyId, owner)
  }
}
