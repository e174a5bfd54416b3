/** Records a delivery that waited in the fallback queue, through the same path as any other. */
import * as z from "zod"
import { SealError } from "../../shared/crypto/seal.ts"
import { AppError } from "../platform/errors.ts"
import { defineJob, done, giveUp, type JobResult } from "../platform/jobs/job.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { openFallbackDelivery } from "./fallback-queue.ts"
import { ingest as ingestDelivery } from "./ingest.ts"
import { readDelivery } from "./read-delivery.ts"
import { ownerOf } from "./record-delivery.ts"
import { reprocess } from "./replay/reprocess.ts"

export const ingest = defineJob({
  name: "ingest",
  payload: z.object({ sealed: z.string() }),
  run: ({ sealed }, services) => restoreDelivery(services, sealed),
})

/** Records one sealed delivery. Gives up only when it is not ours or names no company; throws while Postgres is down. */
export async function restoreDelivery(services: Services, sealed: string): Promise<JobResult> {
  try {
    const read = await readDelivery(services, await openFallbackDelivery(services, sealed))
    const { companyId, recorded, follow } = await ingestDelivery(services, read, await ownerOf(services, read))
    await follow?.()
    if (companyId === null) return done("unmapped_account")
    // The commit may have succeeded although its reply was lost: then the event is recorded but not folded yet.
    // While processing is switched off, the sweep finishes it once that is on again.
    const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
    if (!recorded.isNew && isProcessing) await reprocess(services, companyId, read.eventId)
    return done(recorded.isNew ? "stored" : "known_already")
  } catch (error) {
    // A key version that is being rolled out reaches this isolate soon.
    if (error instanceof SealError && error.reason === "unknown_key_version") throw error
    if (error instanceof SealError || error instanceof z.ZodError) return giveUp("copy_not_ours")
    if (error instanceof AppError) return giveUp(error.reason ?? error.code)
    throw error
  }
}
