/** Sends a chunk of one company's nudges; the rules are applied to each at this time. */
import * as z from "zod"
import { releaseLeases } from "../../../db/queries/recovery/nudges.ts"
import { defineJob, done, type RunHeartbeat } from "../../platform/jobs/job.ts"
import { NUDGE_SUBREQUESTS } from "../../platform/outbound/subrequests.ts"
import type { Services } from "../../platform/services.ts"
import type { SendNudgeResult } from "./send-claimed.ts"
import { sendTogether } from "./send-together.ts"

/** A chunk ends well within QStash's time-out even when every channel is slow. */
export const NUDGES_PER_CHUNK = 20

/**
 * A Worker has at most six connections that wait for a response; further calls are queued, and a nudge that is marked must
 * not wait for its send. A nudge makes one call after the other, so five leave one, for work after the response.
 */
const CONCURRENCY = 5

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
 * Sends several nudges, a few at a time, those of one company together, and counts their outcomes. One that throws does not
 * stop the others. Those for which the invocation has no subrequests left are released unchanged, still due.
 */
export async function sendNudges(
  services: Services,
  wanted: readonly WantedNudge[],
  dispatcher: string | null,
  progress?: RunHeartbeat,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const failures: unknown[] = []
  const waiting = [...Map.groupBy(wanted, ({ companyId }) => companyId).values()].flat()
  while (waiting.length > 0) {
    await progress?.extendLease()
    const count = Math.min(CONCURRENCY, Math.floor(services.budget.room() / NUDGE_SUBREQUESTS))
    if (count === 0) break
    for (const outcome of await sendByCompany(services, waiting.splice(0, count), dispatcher)) {
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

interface WantedNudge {
  readonly companyId: string
  readonly id: string
}

/** Sends the nudges of each company together, all companies at the same time. */
async function sendByCompany(services: Services, nudges: readonly WantedNudge[], dispatcher: string | null) {
  const groups = [...Map.groupBy(nudges, ({ companyId }) => companyId)]
  const outcomes = await Promise.all(
    groups.map(async ([companyId, own]): Promise<readonly PromiseSettledResult<SendNudgeResult>[]> => {
      const ids = own.map(({ id }) => id)
      try {
        return await sendTogether(services, companyId, ids, dispatcher)
      } catch (reason) {
        return ids.map(() => ({ status: "rejected", reason }))
      }
    }),
  )
  return outcomes.flat()
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
