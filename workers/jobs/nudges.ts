/** Sends a chunk of one company's nudges; each is judged anew at this moment. */
import { z } from "zod"
import { sendNudge } from "../pipeline/send-nudge.ts"
import type { Services } from "../services.ts"
import { defineJob, done, type Progress } from "./job.ts"

/** A chunk is done well within QStash's time-out even when every channel is slow. */
export const NUDGES_PER_CHUNK = 20

/** Of a Worker's six connections, some are for Postgres. */
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
      await sendAll(
        services,
        nudgeIds.map((id) => ({ companyId, id })),
        owner,
      ),
    ),
})

/** Sends several nudges, a few at a time, and counts how each ended. One that throws does not keep the others back. */
export async function sendAll(
  services: Services,
  wanted: readonly { readonly companyId: string; readonly id: string }[],
  dispatcher: string | null,
  progress?: Progress,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const failures: unknown[] = []
  for (let start = 0; start < wanted.length; start += AT_ONCE) {
    await progress?.beat()
    const outcomes = await Promise.allSettled(
      wanted.slice(start, start + AT_ONCE).map(({ companyId, id }) => sendNudge(services, companyId, id, dispatcher)),
    )
    for (const outcome of outcomes) {
      const word = outcome.status === "fulfilled" ? outcome.value : "thrown"
      counts[word] = (counts[word] ?? 0) + 1
      if (outcome.status === "rejected") failures.push(outcome.reason)
    }
  }
  if (failures.length > 0) throw failures[0]
  return counts
}
