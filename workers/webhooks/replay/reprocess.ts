/** Processes an event again from its stored payload: by the sweep when it was abandoned, or on an operator's request. */
import { databaseFailure, isDatabaseUnavailable } from "../../../db/client.ts"
import { type EventFailure, recordAttempt, recordFailure } from "../../../db/queries/webhooks/event-status.ts"
import { readStoredEvent, type StoredEvent } from "../../../db/queries/webhooks/events.ts"
import { SealError } from "../../../shared/crypto/seal.ts"
import { NotSent, notSentOf } from "../../../shared/network/outbound-fetch.ts"
import { ProviderApiError } from "../../../shared/provider.ts"
import { AppError } from "../../platform/errors.ts"
import { EVENT_SUBREQUESTS, EXPAND_SUBREQUESTS } from "../../platform/outbound/subrequests.ts"
import type { Services } from "../../platform/services.ts"
import { headersOfStored, type ReadDelivery, readDelivery } from "../read-delivery.ts"
import { isSignal, readStoredSignal } from "../signal.ts"
import { replay } from "./replay.ts"
import { openPayload } from "./stored-payload.ts"

/** Attempts before an event becomes a dead letter; with the waits below, about four hours. */
const ATTEMPTS_MAX = 8

/** Waits between attempts double from one minute. */
const FIRST_WAIT_MS = 60_000

/** An attempt that failed because of the database is repeated after a quarter of the event's age, within these bounds. */
const DATABASE_WAIT_SHARE = 4
const DATABASE_WAIT_MS_MAX = 15 * 60_000

export type ReprocessResult =
  | { readonly kind: "finished"; readonly isFinished: true; readonly status: "processed" | "unhandled" | "dead" }
  | { readonly kind: "not_found" | "purged" | "failed"; readonly isFinished: false }

/**
 * Reads, folds and decides an event again. Facts that are in the ledger already change nothing; new ones are added. Throws
 * `NotSent` when the invocation has too few subrequests left.
 */
export async function reprocess(services: Services, companyId: string, eventId: string): Promise<ReprocessResult> {
  const reservation = services.budget.reserve(EVENT_SUBREQUESTS)
  if (reservation === null) throw new NotSent("budget_spent", null)
  try {
    return await reprocessOnce(services, companyId, eventId)
  } finally {
    reservation.release()
  }
}

async function reprocessOnce(services: Services, companyId: string, eventId: string): Promise<ReprocessResult> {
  const event = await readStoredEvent(services.db, companyId, eventId)
  if (event === null) return { kind: "not_found", isFinished: false }
  if (event.payload === null) {
    if (isWaiting(event)) await recordFailure(services.db, event, finalFailure(event, "payload_purged"))
    return { kind: "purged", isFinished: false }
  }
  if (isWaiting(event) && event.attempts >= ATTEMPTS_MAX) {
    await recordFailure(services.db, event, finalFailure(event, event.error ?? "processing_failed"))
    return { kind: "failed", isFinished: false }
  }
  try {
    const read = await readStored(services, event, event.payload)
    const nextAttemptAt = nextAttemptTime(event, services.now())
    const status = read.delivery.needs
      ? await expandStored(services, event, read, nextAttemptAt)
      : await replay(services, companyId, read, nextAttemptAt)
    return { kind: "finished", isFinished: true, status }
  } catch (error) {
    if (notSentOf(error)?.reason === "budget_spent") throw error // not caused by the event
    services.log.error("event_failed", { companyId, eventId, attempt: event.attempts + 1, error })
    await recordFailure(services.db, event, failureOf(event, error, services.now()))
    return { kind: "failed", isFinished: false }
  }
}

/** Looking up a thin event takes time: the attempt is recorded before it, and has a reservation of its own. */
async function expandStored(
  services: Services,
  event: StoredEvent,
  read: ReadDelivery,
  nextAttemptAt: Date,
): Promise<"processed" | "unhandled" | "dead"> {
  const reservation = services.budget.reserve(EXPAND_SUBREQUESTS)
  if (reservation === null) throw new NotSent("budget_spent", null)
  try {
    await recordAttempt(services.db, event, nextAttemptAt)
    return await replay(services, event.companyId, read, nextAttemptAt)
  } finally {
    reservation.release()
  }
}

/** Queued for processing; events that are finished or dead are processed again only on an operator's request. */
const isWaiting = ({ status }: StoredEvent): boolean => status === "received" || status === "failed"

async function readStored(services: Services, event: StoredEvent, payload: Uint8Array): Promise<ReadDelivery> {
  const { companyId, receivedAt } = event
  const rawBody = await openPayload(services, event, payload)
  if (isSignal(event.type)) return readStoredSignal(event.provider, rawBody, receivedAt)
  const headers = headersOfStored(event)
  return readDelivery(services, { provider: event.provider, path: companyId, rawBody, headers, receivedAt })
}

/** No other attempt until this one has ended: an event that kills its worker must not stay first in the queue for ever. */
const nextAttemptTime = (event: StoredEvent, now: Date): Date =>
  new Date(now.getTime() + FIRST_WAIT_MS * 2 ** Math.min(event.attempts + 1, ATTEMPTS_MAX))

/** The failure after which the event is not retried. */
const finalFailure = ({ attempts }: StoredEvent, reason: string): EventFailure => ({
  reason,
  attempts: attempts + 1,
  nextAttemptAt: null,
})

/** A permanent failure makes the event a dead letter at once, any other after `ATTEMPTS_MAX` attempts. */
function failureOf(event: StoredEvent, error: unknown, now: Date): EventFailure {
  if (isDatabaseFailure(error)) {
    const nextAttemptAt = new Date(now.getTime() + databaseWaitMs(event, now))
    return { reason: "database_away", attempts: event.attempts, nextAttemptAt }
  }
  // An unknown key version is being rolled out; another isolate has it already.
  const isSealed = error instanceof SealError && error.reason !== "unknown_key_version"
  if (isSealed) return finalFailure(event, "payload_does_not_open")
  if (error instanceof AppError) return finalFailure(event, "not_readable")
  const attempts = event.attempts + 1
  const nextAttemptAt = attempts >= ATTEMPTS_MAX ? null : nextAttemptTime(event, now)
  // While an API key is being rotated, the provider refuses it for a while; so refusals are retried too.
  if (!(error instanceof ProviderApiError)) return { reason: "processing_failed", attempts, nextAttemptAt }
  return { reason: error.retry ? "provider_api_away" : "provider_api_refused", attempts, nextAttemptAt }
}

/** Not caused by the event, so it must not become a dead letter: no answer, or every attempt lost to other writers. */
const isDatabaseFailure = (error: unknown): boolean =>
  isDatabaseUnavailable(error) || databaseFailure(error) === "stale_version"

const databaseWaitMs = ({ receivedAt }: StoredEvent, now: Date): number =>
  Math.min(DATABASE_WAIT_MS_MAX, Math.max(FIRST_WAIT_MS, (now.getTime() - receivedAt.getTime()) / DATABASE_WAIT_SHARE))
