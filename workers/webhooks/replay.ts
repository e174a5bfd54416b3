/** An event that is stored already, read as it is read today; a thin one is asked for first. */
import { markProcessed } from "../../db/queries/recovery/commit.ts"
import { replayDelivery } from "../../db/queries/recovery/stream.ts"
import { utf8 } from "../../shared/crypto/bytes.ts"
import { apiFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { advance } from "../recovery/advance.ts"
import { rescoreAfterEvent } from "../scoring/rescore-after-event.ts"
import { factsOf, forMode, processingOf, type ReadDelivery, readDelivery } from "./read-delivery.ts"
import { acceptDelivery, ownerOf, withoutForbiddenLookups } from "./record-delivery.ts"

/**
 * Takes what the event says into the ledger and brings its customer up to date; what it says once more changes nothing.
 * Should this worker be lost, the event is left behind at `nextAttemptAt`. Answers how the event ends: `dead` when its
 * customer has more than a limit allows. Throws
 * `ProviderApiError` when a thin event could not be asked for.
 */
export async function replay(
  services: Services,
  companyId: string,
  event: ReadDelivery,
  nextAttemptAt: Date,
): Promise<"processed" | "unhandled" | "dead"> {
  const { config, db, log, now } = services
  const stored = await withoutForbiddenLookups(services, companyId, event)
  const read = await whole(services, companyId, stored)
  const work = processingOf(stored)
  if (read === null) {
    await markProcessed(db, companyId, work.events, now().toISOString())
    return "processed"
  }
  const status = isUnread(read) ? "unhandled" : "processed"
  const replayed = replayOf(companyId, read, { status, knownAt: now(), nextAttemptAt })
  const isThin = stored.delivery.needs !== undefined
  const limit = isThin ? { customerEventsMax: config.limits.customerEventsPerHour } : {}
  const { setAside, stream } = await replayDelivery(db, { ...replayed, ...limit })
  if (setAside !== null) {
    const { provider, eventId } = stored
    log.error("customer_quarantined", { companyId, provider, eventId, reason: setAside })
    return "dead"
  }
  // What says nothing today either stays `unhandled`.
  const events = status === "unhandled" ? [] : work.events
  if (stream !== null) {
    await advance(services, stream, { ...processingOf(read), events })
    await rescoreAfterEvent(services, companyId, [stream.customer.id])
  } else if (isThin && events.length > 0) {
    await markProcessed(db, companyId, events, now().toISOString())
  }
  return status
}

/** The delivery with all that it says; null for a thin one whose twin says it, which is in the ledger by then. */
async function whole(services: Services, companyId: string, read: ReadDelivery): Promise<ReadDelivery | null> {
  const { provider, delivery } = read
  if (delivery.needs === undefined) return read
  const api = await apiFor(services, { provider, companyId, named: delivery.account })
  if (api?.expand === undefined) throw new Error("a thin event that nobody can be asked about")
  const expanded = await api.expand(delivery)
  // The mode of a thin event may be known only from what it stands for.
  if (expanded.kind === "delivery") {
    return { ...read, delivery: forMode(expanded.delivery, services.config.providers[provider].mode) }
  }
  await ingestSnapshot(services, companyId, read, expanded.body)
  return null
}

/** The twin goes the way of every delivery, under its own key: whether it came or comes by itself too does not matter. */
async function ingestSnapshot(services: Services, companyId: string, thin: ReadDelivery, body: unknown): Promise<void> {
  const twin = await readDelivery(services, {
    provider: thin.provider,
    path: companyId,
    rawBody: utf8(JSON.stringify(body)),
    headers: new Headers(),
    receivedAt: services.now(),
  })
  const { recorded } = await acceptDelivery(services, twin, await ownerOf(services, twin))
  const fields = { companyId, provider: twin.provider, eventId: twin.eventId, eventType: twin.delivery.type }
  services.log.info("snapshot_event_recorded", { ...fields, isNew: recorded.isNew })
  if (recorded.stream !== null) await advance(services, recorded.stream, processingOf(twin))
}

const isUnread = ({ delivery }: ReadDelivery): boolean => delivery.facts.length === 0 && delivery.contact === null

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
