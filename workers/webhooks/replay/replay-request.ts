/** Replays one event or many on request, from the stored payloads; safe at any time and any number of times. */
import { type EventFilter, readEvent } from "../../../db/queries/webhooks/events.ts"
import { enqueueReplay, type ReplayResult } from "../../../db/queries/webhooks/replay.ts"
import { AppError } from "../../platform/errors.ts"
import { MANUAL_RUN } from "../../platform/jobs/run.ts"
import type { Principal, Services } from "../../platform/services.ts"
import { requireProcessingEnabled } from "../../platform/switches.ts"
import { reprocess } from "./reprocess.ts"
import { payloadPurged } from "./stored-payload.ts"

/** One statement queues this many well within the database's time-out; the sweep processes them in minutes. */
export const REPLAY_MAX = 10_000

/** Processes one event again, now. Throws NOT_FOUND, and CONFLICT while processing is off or once its payload was purged. */
export async function replayEvent(services: Services, { companyId, keyId }: Principal, id: string): Promise<string> {
  await requireProcessingEnabled(services, companyId)
  const result = await reprocess(services, companyId, id)
  services.log.info("event_replayed", { companyId, eventId: id, keyId, outcome: result.kind })
  if (result.kind === "not_found") throw new AppError("NOT_FOUND", "There is no such event.")
  if (result.kind === "purged") throw payloadPurged()
  const event = await readEvent(services.db, companyId, id)
  return event?.status ?? (result.kind === "finished" ? result.status : "failed")
}

/** Queues events to be processed again, oldest first, and requests a sweep. Throws CONFLICT while processing is off. */
export async function replayEvents(
  services: Services,
  { companyId, keyId }: Principal,
  filter: EventFilter,
  limit: number,
): Promise<ReplayResult> {
  await requireProcessingEnabled(services, companyId)
  const replay = await enqueueReplay(services.db, companyId, filter, { limit, now: services.now() })
  services.log.info("events_replayed", { companyId, keyId, count: replay.queued, skipped: replay.purged })
  if (replay.queued > 0) await requestSweep(services)
  return replay
}

/** Replays in quick succession need one sweep. */
const SWEEP_DEDUPLICATION_MS = 10_000

/** The sweep runs within a minute anyway; on request it runs at once. */
async function requestSweep({ config, qstash, log, now }: Services): Promise<void> {
  try {
    await qstash.publish({
      url: `${config.appUrl}/jobs/sweep`,
      body: MANUAL_RUN,
      deduplicationId: `sweep-${Math.floor(now().getTime() / SWEEP_DEDUPLICATION_MS)}`,
      retries: 0,
    })
  } catch (error) {
    log.warn("sweep_request_failed", { error })
  }
}
