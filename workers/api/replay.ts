/** An event once more, or many: from the stored payloads, safe at any time and any number of times. */
import { type EventFilter, readEvent } from "../../db/queries/events.ts"
import { type QueuedReplay, queueReplay } from "../../db/queries/replay.ts"
import { AppError } from "../errors.ts"
import { OUT_OF_TURN } from "../jobs/run.ts"
import { requireProcessing } from "../pipeline/acting.ts"
import { reprocess } from "../pipeline/reprocess.ts"
import type { Principal, Services } from "../services.ts"

/** One statement puts so many in line well within the database's time-out; the sweeper works them off in minutes. */
export const REPLAY_MAX = 10_000

/** Processes one event anew, now. Throws NOT_FOUND, and CONFLICT while it cannot be. */
export async function replayEvent(services: Services, { companyId, keyId }: Principal, id: string): Promise<string> {
  await requireProcessing(services, companyId)
  const result = await reprocess(services, companyId, id)
  services.log.info("event_replayed", { companyId, eventId: id, keyId, outcome: result.kind })
  if (result.kind === "not_found") throw new AppError("NOT_FOUND", "There is no such event.")
  if (result.kind === "purged") {
    throw new AppError("CONFLICT", "The payload of this event is no longer kept.", { reason: "payload_purged" })
  }
  const event = await readEvent(services.db, companyId, id)
  return event?.status ?? (result.kind === "finished" ? result.status : "failed")
}

/** Puts events in line to be processed anew, oldest first, and asks for a sweep. Throws CONFLICT while processing is off. */
export async function replayEvents(
  services: Services,
  { companyId, keyId }: Principal,
  filter: EventFilter,
  limit: number,
): Promise<QueuedReplay> {
  await requireProcessing(services, companyId)
  const replay = await queueReplay(services.db, companyId, filter, { limit, now: services.now() })
  services.log.info("events_replayed", { companyId, keyId, count: replay.queued, skipped: replay.purged })
  if (replay.queued > 0) await askForSweep(services)
  return replay
}

/** Replays in quick succession need one sweep. */
const ONE_SWEEP_WITHIN_MS = 10_000

/** The sweeper comes within a minute anyway; asked, it comes at once. */
async function askForSweep({ config, qstash, log, now }: Services): Promise<void> {
  try {
    await qstash.publish({
      url: `${config.appUrl}/jobs/sweep`,
      body: OUT_OF_TURN,
      deduplicationId: `sweep-${Math.floor(now().getTime() / ONE_SWEEP_WITHIN_MS)}`,
      retries: 0,
    })
  } catch (error) {
    log.warn("sweep_not_asked", { error })
  }
}
