/**
 * A delivery that we believe: read it, seal it, write it down. The same path for the webhook's route and for copies that
 * were parked while Postgres was away.
 */
import { type NewEvent, type RecordedDelivery, recordDelivery, recordPending } from "../../db/queries/stream.ts"
import { sha256, utf8 } from "../../shared/crypto/bytes.ts"
import { payloadPurpose, seal } from "../../shared/crypto/seal.ts"
import type { Fact, ProviderName } from "../../shared/domain/facts.ts"
import { companyOfDelivery } from "../companies.ts"
import { AppError } from "../errors.ts"
import { parseEventBody } from "../providers/json.ts"
import { type Delivery, HISTORY_ID_PREFIX } from "../providers/provider.ts"
import type { Services } from "../services.ts"
import { mayAct, PROCESSING } from "./acting.ts"

/** How long after its arrival an event counts as left behind; processing takes well under a second. */
const LEFT_BEHIND_MS = 60_000

/** When what is being worked on since `since` counts as left behind. */
export const leftBehindAt = (since: Date): Date => new Date(since.getTime() + LEFT_BEHIND_MS)

/** A delivery whose signature was verified when it came. */
export interface BelievedDelivery {
  readonly provider: ProviderName
  /** The company in the path, or null. */
  readonly path: string | null
  readonly rawBody: Uint8Array
  readonly headers: Headers
  readonly receivedAt: Date
}

export interface ReadDelivery extends BelievedDelivery {
  /** It tells of a time before we were there to be told: nobody is nudged for it. */
  readonly isHistory?: boolean
  readonly delivery: Delivery
  /** Ours: the same for every copy of the event, so that it is known before anything is stored. */
  readonly eventId: string
}

/** Reads a believed delivery. Throws MALFORMED when it is not an event at all. */
export async function readDelivery({ providers }: Services, believed: BelievedDelivery): Promise<ReadDelivery> {
  const body = parseEventBody(believed.rawBody)
  if (!body.ok) throw new AppError("MALFORMED", `The body is not acceptable: ${body.error.detail}.`)
  const { receivedAt, headers } = believed
  const delivery = providers[believed.provider].normalize(body.value, { receivedAt, headers })
  if (!delivery.ok) throw new AppError("MALFORMED", `The event is not acceptable: ${delivery.error.detail}.`)
  return { ...believed, delivery: delivery.value, eventId: await eventIdOf(delivery.value) }
}

export interface AcceptedDelivery {
  readonly companyId: string
  readonly recorded: RecordedDelivery
  /** New, and to be asked for before it says anything. */
  readonly isPending: boolean
}

/** Judges whether this company's delivery is taken in now; throws when it is not. Copies that were parked were judged when they came. */
export type Admit = (companyId: string) => void

/** Writes a read delivery down: one round trip, once for good. Throws NOT_FOUND for an unknown company, and what `admit` throws. */
export async function acceptDelivery(
  services: Services,
  read: ReadDelivery,
  admit: Admit = () => {},
): Promise<AcceptedDelivery> {
  const { db } = services
  const { delivery } = read
  const companyId = await companyOfDelivery(services, {
    provider: read.provider,
    path: read.path,
    account: delivery.account,
  })
  admit(companyId)
  const isProcessing = mayAct(await services.flags(), PROCESSING, companyId)
  const event = await newEventOf(services, read, { companyId, isProcessing })
  if (delivery.needs === undefined) {
    return { companyId, recorded: await recordDelivery(db, event), isPending: false }
  }
  const isNew = await recordPending(db, event)
  return { companyId, recorded: { isNew, stream: null }, isPending: isNew && event.status === "received" }
}

/** A read delivery as it is written down: facts without names, the payload sealed. */
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
    nextAttemptAt: leftBehindAt(receivedAt).toISOString(),
    customer: delivery.customer,
    objects: delivery.objects,
    facts: factsOf(read),
    customerEventsMax: config.limits.customerEventsPerHour,
    sealedPayload: await seal(config.keys.encryption, place, rawBody),
  }
}

/** Nothing is said, and there is nobody to ask. */
const isSilent = ({ facts, contact, needs }: Delivery): boolean =>
  facts.length === 0 && contact === null && needs === undefined

/** The facts of a delivery, with ids that every copy of it repeats; those of an imported event say that they are history. */
export const factsOf = ({ delivery, eventId, isHistory = false }: ReadDelivery): Fact[] => {
  const isImported = isHistory || delivery.providerEventId.startsWith(HISTORY_ID_PREFIX)
  return delivery.facts.map((fact, index) => ({
    ...fact,
    id: factIdOf(eventId, index),
    ...(isImported && { origin: "history" as const }),
  }))
}

const factIdOf = (eventId: string, index: number): string => `${eventId}.${index}`

/** What processing a delivery comes to, beside its facts. */
export const workOf = ({ delivery, eventId, receivedAt }: ReadDelivery) => ({
  events: [{ id: eventId, receivedAt: receivedAt.toISOString() }],
  factIds: delivery.facts.map((_, index) => factIdOf(eventId, index)),
  contactWords:
    delivery.contact === null ? [] : [{ change: delivery.contact, occurredAt: delivery.occurredAt, eventId }],
  ownFacts: [],
})

const eventIdOf = ({ provider, account, providerEventId }: Delivery): Promise<string> =>
  idOfNames([provider, account, providerEventId])

/** A UUID (version 8, RFC 9562) made of what names an event at its sender. */
export async function idOfNames(names: readonly (string | null)[]): Promise<string> {
  const digest = await sha256(utf8(JSON.stringify(names)))
  const bytes = digest.slice(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}
