/** An event once more, from its stored payload: by the sweeper when it was left behind, or because an operator asks. */
import { readStoredEvent, type StoredEvent } from "../../db/queries/events.ts"
import { replayDelivery } from "../../db/queries/stream.ts"
import { noteFailure } from "../../db/queries/unfinished.ts"
import { open, payloadPurpose, SealError } from "../../shared/crypto/seal.ts"
import { AppError } from "../errors.ts"
import { EVENT_COST } from "../outbound/costs.ts"
import { NotSent, notSentOf } from "../outbound/not-sent.ts"
import type { Services } from "../services.ts"
import { factsOf, type ReadDelivery, readDelivery } from "./accept.ts"
import { advance } from "./advance.ts"
import { workOf } from "./ingest.ts"

/** Tries before an event is left to a person; with the waits below, about four hours. */
const ATTEMPTS_MAX = 8

/** Waits between tries double from one minute. */
const FIRST_WAIT_MS = 60_000

export type Reprocessed =
  | { readonly kind: "finished"; readonly isFinished: true; readonly status: "processed" | "unhandled" }
  | { readonly kind: "not_found" | "purged" | "failed"; readonly isFinished: false }

/**
 * Reads, folds and decides an event again. What it says once more changes nothing; what is read anew is added. Throws when
 * the invocation has no room for that.
 */
export async function reprocess(services: Services, companyId: string, eventId: string): Promise<Reprocessed> {
  const hold = services.budget.hold(EVENT_COST)
  if (hold === null) throw new NotSent("budget_spent", null)
  try {
    return await reprocessOnce(services, companyId, eventId)
  } finally {
    hold.release()
  }
}

async function reprocessOnce(services: Services, companyId: string, eventId: string): Promise<Reprocessed> {
  const event = await readStoredEvent(services.db, companyId, eventId)
  if (event === null) return { kind: "not_found", isFinished: false }
  if (event.payload === null) {
    if (isWaiting(event)) await noteFailure(services.db, event, { reason: "payload_purged", nextAttemptAt: null })
    return { kind: "purged", isFinished: false }
  }
  if (isWaiting(event) && event.attempts >= ATTEMPTS_MAX) {
    await noteFailure(services.db, event, { reason: "processing_failed", nextAttemptAt: null })
    return { kind: "failed", isFinished: false }
  }
  try {
    const read = await readStored(services, event, event.payload)
    const stream = await replayDelivery(services.db, replayOf(event, read, services.now()))
    const work = workOf(read)
    // What says nothing today either stays `unhandled`.
    if (stream !== null) await advance(services, stream, isUnread(read) ? { ...work, events: [] } : work)
    return { kind: "finished", isFinished: true, status: isUnread(read) ? "unhandled" : "processed" }
  } catch (error) {
    if (notSentOf(error)?.reason === "budget_spent") throw error // not the event's fault
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

const isUnread = ({ delivery }: ReadDelivery): boolean => delivery.facts.length === 0 && delivery.contact === null

/** Until this try has ended the event is not tried again: one that kills its worker must not be the first in line for ever. */
const nextTryAt = (event: StoredEvent, now: Date): Date =>
  new Date(now.getTime() + FIRST_WAIT_MS * 2 ** Math.min(event.attempts + 1, ATTEMPTS_MAX))

function replayOf(event: StoredEvent, read: ReadDelivery, now: Date) {
  const { delivery } = read
  return {
    id: event.id,
    companyId: event.companyId,
    provider: event.provider,
    account: event.account,
    providerEventId: event.providerEventId,
    type: event.type,
    apiVersion: event.apiVersion,
    status: isUnread(read) ? ("unhandled" as const) : ("processed" as const),
    error: delivery.unhandled,
    occurredAt: event.occurredAt.toISOString(),
    receivedAt: event.receivedAt.toISOString(),
    nextAttemptAt: nextTryAt(event, now).toISOString(),
    customer: delivery.customer,
    objects: delivery.objects,
    facts: factsOf(read),
  }
}

/** What can never work is left to a person at once; the rest after so many tries. */
function failureOf(event: StoredEvent, error: unknown, now: Date) {
  // A key version that is not known yet is being rolled out; another isolate has it already.
  const isSealed = error instanceof SealError && error.reason !== "unknown_key_version"
  const isHopeless = isSealed || error instanceof AppError
  const attempts = event.attempts + 1
  const nextAttemptAt = isHopeless || attempts >= ATTEMPTS_MAX ? null : nextTryAt(event, now)
  return {
    reason: isHopeless ? (error.name === "SealError" ? "payload_does_not_open" : "not_readable") : "processing_failed",
    nextAttemptAt,
  }
}
