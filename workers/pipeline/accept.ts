/**
 * A delivery that we believe: read it, seal it, write it down. The same path for the webhook's route and for copies that
 * were parked while Postgres was away.
 */
import { type NewEvent, type RecordedDelivery, recordDelivery, recordPending } from "../../db/queries/stream.ts"
import type { ProviderMode } from "../../shared/config.ts"
import { sha256, utf8 } from "../../shared/crypto/bytes.ts"
import { withoutAddress } from "../../shared/crypto/plain-key.ts"
import { payloadPurpose, seal } from "../../shared/crypto/seal.ts"
import type { Fact, ProviderName } from "../../shared/domain/facts.ts"
import { ownerOfDelivery } from "../companies.ts"
import { AppError } from "../errors.ts"
import { grantFor } from "../provider-accounts.ts"
import { parseEventBody } from "../providers/json.ts"
import { type Delivery, HISTORY_ID_PREFIX } from "../providers/provider.ts"
import type { Services } from "../services.ts"
import { mayAct, PROCESSING } from "./acting.ts"
import { keepUnmapped } from "./keep-unmapped.ts"

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
  /** Verified by a secret of the company's own; absent: by the deployment's, or it was asked for by us. */
  readonly isOwnSecret?: boolean
}

export interface ReadDelivery extends BelievedDelivery {
  /** It tells of a time before we were there to be told: nobody is nudged for it. */
  readonly isHistory?: boolean
  readonly delivery: Delivery
  /** Ours: the same for every copy of the event, so that it is known before anything is stored. */
  readonly eventId: string
}

/** Reads a believed delivery; one of another mode says nothing. Throws MALFORMED when it is not an event at all. */
export async function readDelivery({ providers, config }: Services, believed: BelievedDelivery): Promise<ReadDelivery> {
  const body = parseEventBody(believed.rawBody)
  if (!body.ok) throw new AppError("MALFORMED", `The body is not acceptable: ${body.error.detail}.`)
  const { receivedAt, headers } = believed
  const delivery = providers[believed.provider].normalize(body.value, { receivedAt, headers })
  if (!delivery.ok) throw new AppError("MALFORMED", `The event is not acceptable: ${delivery.error.detail}.`)
  const inMode = ofMode(delivery.value, config.providers[believed.provider].mode)
  return {
    ...believed,
    delivery: {
      ...inMode,
      // What a sender writes as a type or an id is stored and logged as it is, so it must not be an address.
      type: await withoutAddress(inMode.type),
      providerEventId: await withoutAddress(inMode.providerEventId),
    },
    eventId: await eventIdOf(inMode),
  }
}

/** A delivery as this deployment takes it: what is not of its mode is kept, and has no effect. */
export function ofMode(delivery: Delivery, mode: ProviderMode): Delivery {
  const { isLive } = delivery
  if (mode === "any" || isLive === null || isLive === (mode === "live")) return delivery
  return silenced(delivery, isLive ? "live_mode" : "test_mode")
}

/** The delivery without anything that it says, for this reason. */
function silenced({ needs: _, ...delivery }: Delivery, reason: string): Delivery {
  return { ...delivery, customer: null, objects: [], facts: [], contact: null, unhandled: reason }
}

export interface AcceptedDelivery {
  /** Null: it belongs to no company, and is kept apart until its account is registered. */
  readonly companyId: string | null
  readonly recorded: RecordedDelivery
  /** New, and to be asked for before it says anything. */
  readonly isPending: boolean
}

/** Judges whether this company's delivery is taken in now; throws when it is not. Copies that were parked were judged when they came. */
export type Admit = (companyId: string) => void

/** Stands for the company where a delivery has none; no company has such an id. */
const NOBODY = "(unmapped)"

/** Writes a read delivery down: one round trip, once for good. Throws NOT_FOUND for an unknown company, and what `admit` throws. */
export async function acceptDelivery(
  services: Services,
  read: ReadDelivery,
  admit: Admit = () => {},
): Promise<AcceptedDelivery> {
  const { db } = services
  const { provider, path, delivery, isOwnSecret = false } = read
  const owner = await ownerOfDelivery(services, { provider, path, account: delivery.account, isOwnSecret })
  if (owner.kind === "unmapped") {
    admit(NOBODY)
    const isNew = await keepUnmapped(services, read)
    return { companyId: null, recorded: { isNew, setAside: null, stream: null }, isPending: false }
  }
  const { companyId } = owner
  admit(companyId)
  const isProcessing = mayAct(await services.flags(), PROCESSING, companyId)
  const askable = await withoutForeignNeeds(services, companyId, read)
  const event = await newEventOf(services, askable, { companyId, isProcessing })
  if (askable.delivery.needs === undefined) {
    return { companyId, recorded: await recordDelivery(db, event), isPending: false }
  }
  const recorded = await recordPending(db, event)
  const { isNew, setAside } = recorded
  return { companyId, recorded, isPending: isNew && setAside === null && event.status === "received" }
}

/** A thin event that may not be asked for in this company's name is kept and not expanded. */
export async function withoutForeignNeeds(
  services: Services,
  companyId: string,
  read: ReadDelivery,
): Promise<ReadDelivery> {
  const { provider, delivery } = read
  if (delivery.needs === undefined) return read
  if ((await grantFor(services, { provider, companyId, named: delivery.account })) !== null) return read
  return { ...read, delivery: silenced(delivery, "thin event, and not of the company's account") }
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
