/**
 * A company's own signal (usage, support tickets) as an event: its schema, and how it is read as a delivery, when it is
 * received and again from its stored payload.
 */
import * as z from "zod"
import { fromUtf8 } from "../../shared/crypto/bytes.ts"
import { withHashedAddress } from "../../shared/crypto/plain-key.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { NewFact } from "../../shared/provider.ts"
import { meterName } from "./meter-name.ts"
import { eventIdFrom, type ReadDelivery } from "./read-delivery.ts"

/** Ids of senders are shorter; they become part of keys. */
const NAME_MAX = 200

/** More than any use between two records, and far below the sums at which integers lose precision. */
const QUANTITY_MAX = 1e12

const plainId = z
  .string()
  .min(1)
  .max(NAME_MAX)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "expected an id")

const common = {
  /** The sender's own id of this signal: a signal with the same id is a duplicate. */
  id: plainId,
  /** Our id of the customer, or the provider's. */
  customerId: plainId,
  occurredAt: z.iso.datetime({ offset: true }).optional(),
}

const usageFields = {
  ...common,
  meter: meterName,
  quantity: z.number().nonnegative().max(QUANTITY_MAX),
  subscriptionId: plainId.nullable().default(null),
}

const sentiment = z.enum(["negative", "neutral", "positive"])

/** One usage record as `POST /api/usage` accepts it. */
export const usageSchema = z.strictObject(usageFields)

/** One signal as `POST /api/signals` accepts it. */
export const signalSchema = z.lazy(() =>
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("usage_recorded"), ...usageFields }),
    z.strictObject({
      kind: z.literal("ticket_opened"),
      ...common,
      ticketId: plainId,
      sentiment: sentiment.default("neutral"),
    }),
    z.strictObject({
      kind: z.literal("ticket_closed"),
      ...common,
      ticketId: plainId,
      sentiment: sentiment.nullable().default(null),
    }),
  ]),
)

export type Signal = z.infer<typeof signalSchema>

/** A signal as it is stored: with the provider's id of its customer, and a time. */
const storedSchema = z.intersection(signalSchema, z.object({ occurredAt: z.iso.datetime(), customerId: plainId }))

/** The types of these events begin with this; no provider's type does. */
const TYPE_PREFIX = "signal."

/** Whether an event is a company's signal, by its type. */
export const isSignal = (type: string): boolean => type.startsWith(TYPE_PREFIX)

/** Reads a signal again from its stored payload. Throws when the payload was not written by this code. */
export async function readStoredSignal(
  provider: ProviderName,
  rawBody: Uint8Array,
  receivedAt: Date,
): Promise<ReadDelivery> {
  return signalDelivery(storedSchema.parse(JSON.parse(fromUtf8(rawBody))), provider, rawBody, receivedAt)
}

/** The signal as a delivery, like that of a provider's event. */
export async function signalDelivery(
  stored: z.infer<typeof storedSchema>,
  provider: ProviderName,
  rawBody: Uint8Array,
  receivedAt: Date,
): Promise<ReadDelivery> {
  const { kind, id, customerId: customer, occurredAt } = stored
  // The sender's ids of signals and tickets are kept for good, so neither may be an address.
  const providerEventId = `signal_${await withHashedAddress(id)}`
  return {
    provider,
    path: null,
    rawBody,
    headers: new Headers(),
    receivedAt,
    eventId: await eventIdFrom(["signal", id]),
    delivery: {
      ...{ provider, account: null, providerEventId, type: `${TYPE_PREFIX}${kind}`, apiVersion: null, occurredAt },
      isLive: null,
      ...{ customer, objects: [], facts: [await factOf(stored, occurredAt)], contact: null, unhandled: null },
    },
  }
}

async function factOf(signal: Signal, occurredAt: string): Promise<NewFact> {
  switch (signal.kind) {
    case "usage_recorded": {
      const { kind, meter, quantity, subscriptionId } = signal
      return { kind, meter, quantity, subscriptionId, occurredAt }
    }
    case "ticket_opened": {
      const ticketId = await withHashedAddress(signal.ticketId)
      return { kind: signal.kind, ticketId, isNegative: signal.sentiment === "negative", occurredAt }
    }
    case "ticket_closed": {
      const isNegative = signal.sentiment === null ? null : signal.sentiment === "negative"
      return { kind: signal.kind, ticketId: await withHashedAddress(signal.ticketId), isNegative, occurredAt }
    }
  }
}
