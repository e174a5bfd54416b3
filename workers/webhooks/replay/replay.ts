/** Processes a stored event with the current code; a thin event is expanded first. */
import { markProcessed } from "../../../db/queries/recovery/commit.ts"
import { replayDelivery } from "../../../db/queries/recovery/stream.ts"
import { utf8 } from "../../../shared/crypto/bytes.ts"
import { apiFor } from "../../platform/provider-accounts.ts"
import type { Services } from "../../platform/services.ts"
import { advance } from "../../recovery/advance.ts"
import { rescoreAfterEvent } from "../../scoring/rescore-after-event.ts"
import { factsOf, forMode, processingOf, type ReadDelivery, readDelivery } from "../read-delivery.ts"
import { acceptDelivery, ownerOf, withoutForbiddenLookups } from "../record-delivery.ts"

/**
 * Adds the event's facts to the ledger and advances its customer; facts that are there already change nothing. Should this
 * worker die, the event is due again at `nextAttemptAt`. Returns the status of the event: `dead` when its customer exceeds a
 * limit. Throws `ProviderApiError` when a thin event could not be looked up.
 */
export async function replay(
  services: Services,
  companyId: string,
  event: ReadDelivery,
  nextAttemptAt: Date,
): Promise<"processed" | "unhandled" | "dead"> {
  const { config, db, log, now } = services
  const stored = await withoutForbiddenLookups(services, companyId, event)
  const read = await expandIfThin(services, companyId, stored)
  const work = processingOf(stored)
  if (read === null) {
    await markProcessed(db, companyId, work.events, now().toISOString())
    return "processed"
  }
  const status = isEmpty(read) ? "unhandled" : "processed"
  const replayed = replayOf(companyId, read, { status, knownAt: now(), nextAttemptAt })
  const isThin = stored.delivery.needs !== undefined
  const limit = isThin ? { customerEventsMax: config.limits.customerEventsPerHour } : {}
  const { setAside, stream } = await replayDelivery(db, { ...replayed, ...limit })
  if (setAside !== null) {
    const { provider, eventId } = stored
    log.error("customer_quarantined", { companyId, provider, eventId, reason: setAside })
    return "dead"
  }
  // An event that still has no facts stays `unhandled`.
  const events = status === "unhandled" ? [] : work.events
  if (stream !== null) {
    await advance(services, stream, { ...processingOf(read), events })
    await rescoreAfterEvent(services, companyId, [stream.customer.id])
  } else if (isThin && events.length > 0) {
    await markProcessed(db, companyId, events, now().toISOString())
  }
  return status
}

/** The complete delivery; null for a thin event whose snapshot event was recorded and processed in its place. */
async function expandIfThin(services: Services, companyId: string, read: ReadDelivery): Promise<ReadDelivery | null> {
  const { provider, delivery } = read
  if (delivery.needs === undefined) return read
  const api = await apiFor(services, { provider, companyId, named: delivery.account })
  if (api?.expand === undefined) throw new Error("a thin event that no API can expand")
  const expanded = await api.expand(delivery)
  // The mode of a thin event may be known only from its object.
  if (expanded.kind === "delivery") {
    return { ...read, delivery: forMode(expanded.delivery, services.config.providers[provider].mode) }
  }
  await ingestSnapshot(services, companyId, read, expanded.body)
  return null
}

/** Records the snapshot event as any delivery, under its own id: it does not matter whether its webhook arrives as well. */
async function ingestSnapshot(services: Services, companyId: string, thin: ReadDelivery, body: unknown): Promise<void> {
  const snapshot = await readDelivery(services, {
    provider: thin.provider,
    path: companyId,
    rawBody: utf8(JSON.stringify(body)),
    headers: new Headers(),
    receivedAt: services.now(),
  })
  const { recorded } = await acceptDelivery(services, snapshot, await ownerOf(services, snapshot))
  const { provider, eventId, delivery } = snapshot
  const fields = { companyId, provider, eventId, eventType: delivery.type }
  services.log.info("snapshot_event_recorded", { ...fields, isNew: recorded.isNew })
  if (recorded.stream !== null) await advance(services, recorded.stream, processingOf(snapshot))
}

const isEmpty = ({ delivery }: ReadDelivery): boolean => delivery.facts.length === 0 && delivery.contact === null

function replayOf(
  companyId: string,
  read: ReadDelivery,
  how: { readonly status: "processed" | "unhandled"; readonly knownAt: Date; readonly nextAttemptAt: Date },
) {
  const { delivery } = read
  return {
    id: read.eventId,
    companyId,
    provider: read.provider,
    account: delivery.account,
    providerEventId: delivery.providerEventId,
    type: delivery.type,
    apiVersion: delivery.apiVersion,
    status: how.status,
    error: delivery.unhandled,
    occurredAt: delivery.occurredAt,
    receivedAt: read.receivedAt.toISOString(),
    knownAt: how.knownAt.toISOString(),
    nextAttemptAt: how.nextAttemptAt.toISOString(),
    customer: delivery.customer,
    objects: delivery.objects,
    facts: factsOf(read),
  }
}
