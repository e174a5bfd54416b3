/**
 * Records a verified delivery, encrypted, for the company that it belongs to. The webhook route and the fallback queue use
 * the same function.
 */
import { databaseFailure } from "../../db/client.ts"
import {
  type NewEvent,
  type RecordedDelivery,
  recordDeliveries,
  recordDelivery,
  recordPending,
} from "../../db/queries/recovery/stream.ts"
import { payloadPurpose, sealDeflated } from "../../shared/crypto/seal.ts"
import type { Delivery } from "../../shared/provider.ts"
import { type DeliveryOwner, ownerOfDelivery } from "../platform/companies.ts"
import { ConcurrencyLimit } from "../platform/concurrency-limit.ts"
import { type GroupBounds, GroupCalls } from "../platform/group-calls.ts"
import { grantFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { waitForSignal } from "../platform/waiting-requests.ts"
import { factsOf, type ReadDelivery, silenced } from "./read-delivery.ts"
import { storeUnmapped } from "./store-unmapped.ts"

/** Processing takes well under a second; after this time the sweep takes over. */
const ABANDONED_AFTER_MS = 60_000

/** When the sweep may take over work that began at `since`. */
export const abandonedAt = (since: Date): Date => new Date(since.getTime() + ABANDONED_AFTER_MS)

export interface AcceptedDelivery {
  /** Null: it belongs to no company, and is stored separately until its account is registered. */
  readonly companyId: string | null
  readonly recorded: RecordedDelivery
  /** New, and its object must be fetched from the provider before it has facts. */
  readonly isPending: boolean
}

/** The company that a delivery belongs to, if any. Throws NOT_FOUND when its path names no company. */
export const ownerOf = (services: Services, read: ReadDelivery): Promise<DeliveryOwner> => {
  const { provider, path, delivery, isOwnSecret = false, endpoint } = read
  return ownerOfDelivery(services, { provider, path, account: delivery.account, isOwnSecret, endpoint })
}

/** Records a delivery of this owner: one round trip, at most once. */
export async function acceptDelivery(
  services: Services,
  read: ReadDelivery,
  owner: DeliveryOwner,
): Promise<AcceptedDelivery> {
  const { db } = services
  if (owner.kind === "unmapped") {
    const isNew = await storeUnmapped(services, read)
    return { companyId: null, recorded: { isNew, setAside: null, stream: null }, isPending: false }
  }
  const { companyId } = owner
  const isProcessing = isEnabledFor(await services.flags(), PROCESSING_SWITCH, companyId)
  const askable = await withoutForbiddenLookups(services, companyId, read)
  const event = await newEventOf(services, askable, { companyId, isProcessing })
  if (askable.delivery.needs === undefined) {
    return { companyId, recorded: await recordTogether(services, event, read.waitedMs), isPending: false }
  }
  const recorded = await recordPending(db, event)
  const { isNew, setAside } = recorded
  return { companyId, recorded, isPending: isNew && setAside === null && event.status === "received" }
}

/** The leader of a group spends the processor time of its statement: about 0.1 ms an event. */
const GROUP_EVENTS_MAX = 50

/** Far below what one statement may have, 64 MiB. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024

/** More calls at once would only make each other slower. */
const CALLS_MAX = 3

/** A call takes some milliseconds, and more with a database far away. */
const SLOW_AFTER_MS = 500

/**
 * While Postgres answers, a burst may keep this isolate busy for so long. Longer than most providers wait: an event that is
 * recorded too late for its answer is a duplicate when it is sent again, and the fallback queue costs a busy isolate more.
 */
const QUEUE_MS_MAX = 15_000

/** With the database's time-out and the fallback queue after it, an answer takes less than five seconds in an outage. */
const QUEUE_MS_MAX_AFTER_FAILURE = 1_000

/** Beyond the database's time-out, for a busy isolate. */
const CALL_MARGIN_MS = 100

const GROUP_BOUNDS: GroupBounds<NewEvent> = {
  itemsMax: GROUP_EVENTS_MAX,
  bytes: { max: GROUP_BYTES_MAX, of: ({ sealedPayload }) => sealedPayload.length },
  callsMax: CALLS_MAX,
  slowAfterMs: SLOW_AFTER_MS,
  queueMsMax: QUEUE_MS_MAX,
  queueMsMaxAfterFailure: QUEUE_MS_MAX_AFTER_FAILURE,
}
const groups = new GroupCalls<NewEvent, RecordedDelivery>(GROUP_BOUNDS)

/** Enough for a full group in each call, while the next ones are prepared. */
const AT_WORK_MAX = 120

/** A delivery is at work for less, with the longest wait for a call and the fallback queue after it. */
const WORK_MS_MAX = 20_000

/** As long as a delivery may wait for a call. */
const places = new ConcurrencyLimit({ max: AT_WORK_MAX, workMsMax: WORK_MS_MAX, waitMsMax: QUEUE_MS_MAX })

/**
 * Waits while this isolate has many deliveries at work, so that it answers these first; not while Postgres fails. Returns what
 * frees the place, and how long it waited.
 */
export async function enterDelivery({
  now,
}: Services): Promise<{ readonly leave: () => void; readonly waitedMs: number }> {
  const sinceMs = now().getTime()
  const leave = await places.enter(waitForSignal, () => groups.isFailing)
  return { leave, waitedMs: Math.max(0, now().getTime() - sinceMs) }
}

/** Processing gives way to deliveries that wait for their answer, but not for longer than this. */
const GIVE_WAY_MS_MAX = 200

/** More than this many give no more way: each holds its stream in memory. */
const GIVING_WAY_MAX = 200

/** Waits while this isolate records deliveries of the company, so that a burst is acknowledged first. */
export const giveWayToDeliveries = (companyId: string): Promise<void> =>
  groups.waitUntilIdle(companyId, { limitMs: GIVE_WAY_MS_MAX, waitingMax: GIVING_WAY_MAX }, waitForSignal)

/**
 * Records an event together with others of its company that arrived while the last call was in flight. When Postgres refuses
 * the group, each is recorded alone, so that one cannot stop the others. Throws when there was no answer in time, alone or in a
 * group: it may have been recorded, and repeating it changes nothing.
 */
async function recordTogether(services: Services, event: NewEvent, waitedMs = 0): Promise<RecordedDelivery> {
  const { config, db, log, waitUntil } = services
  const { companyId } = event
  const recorded = await groups.run(companyId, event, {
    call: (events) => recordDeliveries(db, companyId, events),
    callMsMax: config.database.timeoutMs + CALL_MARGIN_MS,
    waitedMs,
    waitFor: waitForSignal,
    waitUntil,
  })
  if (recorded.kind === "done") return recorded.result
  const error = recorded.kind === "failed" ? recorded.error : new Error("not recorded in time")
  if (databaseFailure(error) === "outcome_unknown") throw error
  log.warn("group_record_failed", { companyId, eventId: event.id, error })
  return recordDelivery(db, event)
}

/** A thin event whose object may not be fetched in this company's name is stored and not expanded. */
export async function withoutForbiddenLookups(
  services: Services,
  companyId: string,
  read: ReadDelivery,
): Promise<ReadDelivery> {
  const { provider, delivery } = read
  if (delivery.needs === undefined) return read
  if ((await grantFor(services, { provider, companyId, named: delivery.account })) !== null) return read
  return { ...read, delivery: silenced(delivery, "thin event, and no account of the company to look it up in") }
}

/** A read delivery as it is recorded: facts without personal data, the payload encrypted. */
export async function newEventOf(
  { config, now }: Services,
  read: ReadDelivery,
  { companyId, isProcessing }: { readonly companyId: string; readonly isProcessing: boolean },
): Promise<NewEvent> {
  const { delivery, eventId, receivedAt, rawBody } = read
  const place = {
    purpose: payloadPurpose(companyId, receivedAt),
    context: ["webhook_events", "payload", eventId, companyId],
  }
  return {
    id: eventId,
    companyId,
    provider: read.provider,
    account: delivery.account,
    providerEventId: delivery.providerEventId,
    type: delivery.type,
    apiVersion: delivery.apiVersion,
    status: isSilent(delivery) ? ("unhandled" as const) : isProcessing ? ("received" as const) : ("held" as const),
    error: delivery.unhandled,
    occurredAt: delivery.occurredAt,
    receivedAt: receivedAt.toISOString(),
    knownAt: now().toISOString(),
    nextAttemptAt: abandonedAt(receivedAt).toISOString(),
    customer: delivery.customer,
    objects: delivery.objects,
    facts: factsOf(read),
    customerEventsMax: config.limits.customerEventsPerHour,
    sealedPayload: await sealDeflated(config.keys.encryption, place, rawBody),
  }
}

/** There are no facts, and nothing to fetch. */
const isSilent = ({ facts, contact, needs }: Delivery): boolean =>
  facts.length === 0 && contact === null && needs === undefined
