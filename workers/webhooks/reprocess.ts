/** An event once more, from its stored payload: by the sweeper when it was left behind, or because an operator asks. */
import { databaseFailure, isDatabaseUnavailable } from "../../db/client.ts"
import { type EventFailure, recordAttempt, recordFailure } from "../../db/queries/webhooks/event-status.ts"
import { readStoredEvent, type StoredEvent } from "../../db/queries/webhooks/events.ts"
import { open, payloadPurpose, SealError } from "../../shared/crypto/seal.ts"
import { NotSent, notSentOf } from "../../shared/network/outbound-fetch.ts"
import { ProviderApiError } from "../../shared/provider.ts"
import { AppError } from "../platform/errors.ts"
import { EVENT_SUBREQUESTS, EXPAND_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { type ReadDelivery, readDelivery } from "./read-delivery.ts"
import { replay } from "./replay.ts"
import { isSignal, readStoredSignal } from "./signal.ts"

/** Tries before an event is left to a person; with the waits below, about four hours. */
const ATTEMPTS_MAX = 8

/** Waits between tries double from one minute. */
const FIRST_WAIT_MS = 60_000

/** A try that the database was not up to is made again after a quarter of the event's age, within these bounds. */
const DATABASE_WAIT_SHARE = 4
const DATABASE_WAIT_MS_MAX = 15 * 60_000

export type ReprocessResult =
  | { readonly kind: "finished"; readonly isFinished: true; readonly status: "processed" | "unhandled" | "dead" }
  | { readonly kind: "not_found" | "purged" | "failed"; readonly isFinished: false }

/**
 * Reads, folds and decides an event again. What it says once more changes nothing; what is read anew is added. Throws when
 * the invocation has no room for that.
 */
export async function reprocess(services: Services, companyId: string, eventId: string): Promise<ReprocessResult> {
  const hold = services.budget.reserve(EVENT_SUBREQUESTS)
  if (hold === null) throw new NotSent("budget_spent", null)
  try {
    return await reprocessOnce(services, companyId, eventId)
  } finally {
    hold.release()
  }
}

async function reprocessOnce(services: Services, companyId: string, eventId: string): Promise<ReprocessResult> {
  const event = await readStoredEvent(services.db, companyId, eventId)
  if (event === null) return { kind: "not_found", isFinished: false }
  if (event.payload === null) {
    if (isWaiting(event)) await recordFailure(services.db, event, lost(event, "payload_purged"))
    return { kind: "purged", isFinished: false }
  }
  if (isWaiting(event) && event.attempts >= ATTEMPTS_MAX) {
    await recordFailure(services.db, event, lost(event, event.error ?? "processing_failed"))
    return { kind: "failed", isFinished: false }
  }
  try {
    const read = await readStored(services, event, event.payload)
    const nextAttemptAt = nextTryAt(event, services.now())
    const status = read.delivery.needs
      ? await expandStored(services, event, read, nextAttemptAt)
      : await replay(services, companyId, read, nextAttemptAt)
    return { kind: "finished", isFinished: true, status }
  } catch (error) {
    if (notSentOf(error)?.reason === "budget_spent") throw error // not the event's fault
    services.log.error("event_failed", { companyId, eventId, attempt: event.attempts + 1, error })
    await recordFailure(services.db, event, failureOf(event, error, services.now()))
    return { kind: "failed", isFinished: false }
  }
}

/** A thin event is first asked for, which takes its time: the try is noted before it, and has room of its own. */
async function expandStored(
  services: Services,
  event: StoredEvent,
  read: ReadDelivery,
  nextAttemptAt: Date,
): Promise<"processed" | "unhandled" | "dead"> {
  const hold = services.budget.reserve(EXPAND_SUBREQUESTS)
  if (hold === null) throw new NotSent("budget_spent", null)
  try {
    await recordAttempt(services.db, event, nextAttemptAt)
    return await replay(services, event.companyId, read, nextAttemptAt)
  } finally {
    hold.release()
  }
}

/** In line to be processed; what is done with or dead is read again only because an operator asks. */
const isWaiting = ({ status }: StoredEvent): boolean => status === "received" || status === "failed"

async function readStored(services: Services, event: StoredEvent, payload: Uint8Array): Promise<ReadDelivery> {
  const { companyId, id, receivedAt } = event
  const place = {
    purpose: payloadPurpose(companyId, receivedAt),
    context: ["webhook_events", "payload", id, companyId],
  }
  const rawBody = await open(services.config.keys.encryption, place, payload)
  if (isSignal(event.type)) return readStoredSignal(event.provider, rawBody, receivedAt)
  // Events of Whop's old shape are named and dated by their headers.
  const headers = new Headers({
    "webhook-id": event.providerEventId,
    "webhook-timestamp": String(Math.floor(event.occurredAt.getTime() / 1000)),
  })
  return readDelivery(services, { provider: event.provider, path: companyId, rawBody, headers, receivedAt })
}

/** Until this try has ended the event is not tried again: one that kills its worker must not be the first in line for ever. */
const nextTryAt = (event: StoredEvent, now: Date): Date =>
  new Date(now.getTime() + FIRST_WAIT_MS * 2 ** Math.min(event.attempts + 1, ATTEMPTS_MAX))

/** Nobody tries it again. */
const lost = ({ attempts }: StoredEvent, reason: string): EventFailure => ({
  reason,
  attempts: attempts + 1,
  nextAttemptAt: null,
})

/** What can never work is left to a person at once, the rest after so many tries of its own. */
function failureOf(event: StoredEvent, error: unknown, now: Date): EventFailure {
  if (isDatabasesFault(error)) {
    const nextAttemptAt = new Date(now.getTime() + databaseWaitMs(event, now))
    return { reason: "database_away", attempts: event.attempts, nextAttemptAt }
  }
  // A key version that is not known yet is being rolled out; another isolate has it already.
  const isSealed = error instanceof SealError && error.reason !== "unknown_key_version"
  if (isSealed) return lost(event, "payload_does_not_open")
  if (error instanceof AppError) return lost(event, "not_readable")
  const attempts = event.attempts + 1
  const nextAttemptAt = attempts >= ATTEMPTS_MAX ? null : nextTryAt(event, now)
  // A key that is being changed at the provider refuses for a while, too: both are tried again.
  if (!(error instanceof ProviderApiError)) return { reason: "processing_failed", attempts, nextAttemptAt }
  return { reason: error.retry ? "provider_api_away" : "provider_api_refused", attempts, nextAttemptAt }
}

/** The event has no part in it, and is not to end as dead for it: no answer, or every race lost to other writers. */
const isDatabasesFault = (error: unknown): boolean =>
  isDatabaseUnavailable(error) || databaseFailure(error) === "stale_version"

const databaseWaitMs = ({ receivedAt }: StoredEvent, now: Date): number =>
  Math.min(DATABASE_WAIT_MS_MAX, Math.max(FIRST_WAIT_MS, (now.getTime() - receivedAt.getTime()) / DATABASE_WAIT_SHARE))
