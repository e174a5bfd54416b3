/** An event once more, from its stored payload: by the sweeper when it was left behind, or because an operator asks. */
import { findEvent, noteFailure, noteTry, type StoredEvent } from "../../db/queries/unfinished.ts"
import { open, payloadPurpose, SealError } from "../../shared/crypto/seal.ts"
import { AppError } from "../errors.ts"
import { ProviderApiError } from "../providers/provider.ts"
import type { Services } from "../services.ts"
import { type ReadDelivery, readDelivery } from "./accept.ts"
import { replay } from "./replay.ts"

/** Tries before an event is left to a person; with the waits below, about four hours. */
const ATTEMPTS_MAX = 8

/** Waits between tries double from one minute. */
const FIRST_WAIT_MS = 60_000

export type Reprocessed =
  | { readonly kind: "finished"; readonly isFinished: true; readonly status: "processed" | "unhandled" }
  | { readonly kind: "not_found" | "purged" | "failed"; readonly isFinished: false }

/** Reads, folds and decides an event again. What it says once more changes nothing; what is read anew is added. */
export async function reprocess(services: Services, companyId: string, eventId: string): Promise<Reprocessed> {
  const event = await findEvent(services.db, companyId, eventId)
  if (event === null) return { kind: "not_found", isFinished: false }
  if (event.payload === null) {
    if (isWaiting(event)) await noteFailure(services.db, event, { reason: "payload_purged", nextAttemptAt: null })
    return { kind: "purged", isFinished: false }
  }
  if (isWaiting(event) && event.attempts >= ATTEMPTS_MAX) {
    await noteFailure(services.db, event, { reason: event.error ?? "processing_failed", nextAttemptAt: null })
    return { kind: "failed", isFinished: false }
  }
  try {
    const read = await readStored(services, event, event.payload)
    const nextAttemptAt = nextTryAt(event, services.now())
    // The others note it with what they say; a thin one is first asked for, which takes its time.
    if (read.delivery.needs) await noteTry(services.db, event, nextAttemptAt)
    const status = await replay(services, companyId, read, nextAttemptAt)
    return { kind: "finished", isFinished: true, status }
  } catch (error) {
    services.log.error("event_failed", { companyId, eventId, attempt: event.attempts + 1, error })
    await noteFailure(services.db, event, failureOf(event, error, services.now()))
    return { kind: "failed", isFinished: false }
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

/** What can never work is left to a person at once; the rest after so many tries. */
function failureOf(event: StoredEvent, error: unknown, now: Date) {
  // A key version that is not known yet is being rolled out; another isolate has it already.
  const isSealed = error instanceof SealError && error.reason !== "unknown_key_version"
  const isHopeless = isSealed || error instanceof AppError
  const attempts = event.attempts + 1
  const nextAttemptAt = isHopeless || attempts >= ATTEMPTS_MAX ? null : nextTryAt(event, now)
  if (isHopeless) return { reason: isSealed ? "payload_does_not_open" : "not_readable", nextAttemptAt }
  // A key that is being changed at the provider refuses for a while, too: both are tried again.
  if (!(error instanceof ProviderApiError)) return { reason: "processing_failed", nextAttemptAt }
  return { reason: error.retry ? "provider_api_away" : "provider_api_refused", nextAttemptAt }
}
