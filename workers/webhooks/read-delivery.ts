/** Reads a verified delivery: normalized by its provider, with our event id, without effect when its mode is ignored. */
import type { ProviderMode } from "../../shared/config.ts"
import { sha256, toHex, utf8 } from "../../shared/crypto/bytes.ts"
import { withHashedAddress } from "../../shared/crypto/plain-key.ts"
import type { Fact, ProviderName } from "../../shared/domain/facts.ts"
import { type Delivery, FETCHED_ID_PREFIX, HISTORY_ID_PREFIX } from "../../shared/provider.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import { parseEventBody } from "../providers/json.ts"

/** A delivery whose signature was verified when it was received. */
export interface VerifiedDelivery {
  readonly provider: ProviderName
  /** The company in the path, or null. */
  readonly path: string | null
  readonly rawBody: Uint8Array
  readonly headers: Headers
  readonly receivedAt: Date
  /** Verified by a secret of the company's own; absent: by the deployment's, or we fetched it. */
  readonly isOwnSecret?: boolean
  /** The company in the path, where it was looked up already; null: there is none of that id. */
  readonly endpoint?: string | null
  /** How long it waited while the isolate had others at work. */
  readonly waitedMs?: number
}

export interface ReadDelivery extends VerifiedDelivery {
  /** It happened before we received the company's events: no nudges are sent for it. */
  readonly isHistory?: boolean
  readonly delivery: Delivery
  /** Our id: the same for every delivery of the event, so that it is known before anything is stored. */
  readonly eventId: string
}

/** Reads a verified delivery; one of another mode has no facts. Throws MALFORMED when it is not an event. */
export async function readDelivery(
  { providers, config }: Services,
  verifiedDelivery: VerifiedDelivery,
): Promise<ReadDelivery> {
  const body = parseEventBody(verifiedDelivery.rawBody)
  if (!body.ok) throw new AppError("MALFORMED", `The body is not acceptable: ${body.error.detail}.`)
  const { receivedAt, headers } = verifiedDelivery
  const delivery = providers[verifiedDelivery.provider].normalize(body.value, { receivedAt, headers })
  if (!delivery.ok) throw new AppError("MALFORMED", `The event is not acceptable: ${delivery.error.detail}.`)
  const inMode = forMode(delivery.value, config.providers[verifiedDelivery.provider].mode)
  return {
    ...verifiedDelivery,
    delivery: {
      ...inMode,
      // Types and ids are stored and logged unencrypted, so they must not be an address.
      type: await withHashedAddress(inMode.type),
      providerEventId: await withHashedAddress(inMode.providerEventId),
    },
    eventId: await eventIdOf(inMode),
  }
}

/** The delivery; without effect, but still stored, when it is not of the deployment's mode. */
export function forMode(delivery: Delivery, mode: ProviderMode): Delivery {
  const { isLive } = delivery
  if (mode === "any" || isLive === null || isLive === (mode === "live")) return delivery
  return silenced(delivery, isLive ? "live_mode" : "test_mode")
}

/** The delivery without effect: unhandled for this reason. */
export function silenced({ needs: _, ...delivery }: Delivery, reason: string): Delivery {
  return { ...delivery, customer: null, objects: [], facts: [], contact: null, unhandled: reason }
}

/**
 * The facts of a delivery, with ids that are the same for every delivery of the event. Those of an imported event are marked
 * as history, and subscriptions that we fetched as fetched.
 */
export const factsOf = ({ delivery, eventId, isHistory = false }: ReadDelivery): Fact[] => {
  const isImported = isHistory || delivery.providerEventId.startsWith(HISTORY_ID_PREFIX)
  const isFetched = delivery.providerEventId.startsWith(FETCHED_ID_PREFIX)
  return delivery.facts.map((fact, index) => ({
    ...fact,
    id: factIdOf(eventId, index),
    ...(isImported && { origin: "history" as const }),
    ...(isFetched && "subscription" in fact && { fetched: true as const }),
  }))
}

const factIdOf = (eventId: string, index: number): string => `${eventId}.${index}`

/** What `advance` needs to process a delivery, beside its facts. */
export const processingOf = ({ delivery, eventId, receivedAt }: ReadDelivery) => ({
  events: [{ id: eventId, receivedAt: receivedAt.toISOString() }],
  factIds: delivery.facts.map((_, index) => factIdOf(eventId, index)),
  contactUpdates:
    delivery.contact === null ? [] : [{ change: delivery.contact, occurredAt: delivery.occurredAt, eventId }],
  ownFacts: [],
})

const eventIdOf = ({ provider, account, providerEventId }: Delivery): Promise<string> =>
  eventIdFrom([provider, account, providerEventId])

/**
 * Headers of an event read again from its stored payload: Whop's legacy events have their id and time in headers only, and
 * no other header is stored.
 */
export const headersOfStored = (event: { readonly providerEventId: string; readonly occurredAt: Date }): Headers =>
  new Headers({
    "webhook-id": event.providerEventId,
    "webhook-timestamp": String(Math.floor(event.occurredAt.getTime() / 1000)),
  })

/** A UUID (version 8, RFC 9562) derived from what identifies an event at its sender. */
export async function eventIdFrom(names: readonly (string | null)[]): Promise<string> {
  const digest = await sha256(utf8(JSON.stringify(names)))
  const bytes = digest.slice(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = toHex(bytes)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}
