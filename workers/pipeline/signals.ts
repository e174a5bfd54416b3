/**
 * What a company itself tells of its customers: use, and support tickets. A signal goes the way of every event: written
 * down first, once under the sender's own id, then folded; one that was left behind is read again from its payload.
 */
import * as z from "zod"
import { findCustomers, type NamedCustomer } from "../../db/queries/customers.ts"
import { recordSignals, type Stream } from "../../db/queries/stream.ts"
import { fromUtf8, utf8 } from "../../shared/crypto/bytes.ts"
import { withoutAddress } from "../../shared/crypto/plain-key.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { NewFact } from "../providers/provider.ts"
import { rescoreAfterEvent } from "../scoring/soon.ts"
import type { Services } from "../services.ts"
import { idOfNames, newEventOf, type ReadDelivery, workOf } from "./accept.ts"
import { mayAct, PROCESSING } from "./acting.ts"
import { advanceAll } from "./advance.ts"
import { meterName } from "./meter-name.ts"

/** Ids of senders are shorter; they become part of keys. */
const NAME_MAX = 200

/** More than anybody uses between two records, and far from where sums lose whole numbers. */
const QUANTITY_MAX = 1e12

/** A sender's clock may be this far ahead of ours, as a provider's may. */
const AHEAD_MS = 5 * 60_000

/** What is older tells nothing of anybody's leaving, and is more likely a unit that was mixed up. */
const AGE_MS_MAX = 10 * 365 * 86_400_000

const plainId = z
  .string()
  .min(1)
  .max(NAME_MAX)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "expected an id")

const common = {
  /** The sender's own id of this signal: the same id again is the same signal. */
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

/** One record of use as `POST /api/usage` takes it. */
export const usageSchema = z.strictObject(usageFields)

/** One signal as `POST /api/signals` takes it. */
export const signalSchema = z.discriminatedUnion("kind", [
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
])

export type Signal = z.infer<typeof signalSchema>

/** A signal as it is stored: with the provider's id of its customer, and a time. */
const storedSchema = z.intersection(signalSchema, z.object({ occurredAt: z.iso.datetime(), customerId: plainId }))

/** The types of these events begin so; no provider's do. */
const TYPE_PREFIX = "signal."

/** Whether an event is one that a company told, by its type. */
export const isSignal = (type: string): boolean => type.startsWith(TYPE_PREFIX)

/** How one signal ended. `refused` was not stored and may be sent again under the same id. */
export type SignalOutcome =
  | { readonly status: "recorded" | "duplicate"; readonly customerId: string }
  | { readonly status: "refused"; readonly code: "customer_unknown" | "occurred_at_out_of_range" }

/** Writes signals down and has them folded after the answer. Answers how each ended, in the order given. */
export async function recordAll(
  services: Services,
  companyId: string,
  signals: readonly Signal[],
): Promise<readonly SignalOutcome[]> {
  const { db, log, now, waitUntil } = services
  const receivedAt = now()
  const isProcessing = mayAct(await services.flags({ isFreshNeeded: true }), PROCESSING, companyId)
  const names = signals.filter((signal) => isTimely(signal, receivedAt)).map(({ customerId }) => customerId)
  const customers = await findCustomers(db, companyId, names)
  const judged = await Promise.all(signals.map((signal) => judge(signal, customers, receivedAt)))

  // The first of one id in a batch is the one that counts, as between batches.
  const reads = new Map<string, ReadDelivery>()
  for (const item of judged) if (item.status === "read" && !reads.has(item.key)) reads.set(item.key, item.read)
  const written = { companyId, isProcessing }
  const events = await Promise.all([...reads.values()].map((read) => newEventOf(services, read, written)))
  const { newIds, streams } = await recordSignals(db, companyId, events)
  log.info("signals_recorded", { companyId, count: signals.length, isNew: newIds.size })

  if (streams.length > 0) {
    const fresh = [...reads].flatMap(([key, read]) => (newIds.has(key) ? [read] : []))
    waitUntil(
      advanceAll(services, companyId, worksOf(streams, fresh))
        .then(() => rescoreAfterEvent(services, companyId, idsOf(streams)))
        .catch((error) => log.warn("advance_left_to_sweeper", { companyId, count: fresh.length, error })),
    )
  }
  return judged.map((item) => {
    if (item.status === "refused") return item
    const isNew = newIds.has(item.key) && reads.get(item.key) === item.read
    return { status: isNew ? "recorded" : "duplicate", customerId: item.customerId }
  })
}

type Judged =
  | Extract<SignalOutcome, { readonly status: "refused" }>
  | { readonly status: "read"; readonly key: string; readonly read: ReadDelivery; readonly customerId: string }

async function judge(signal: Signal, customers: ReadonlyMap<string, NamedCustomer>, receivedAt: Date): Promise<Judged> {
  if (!isTimely(signal, receivedAt)) return { status: "refused", code: "occurred_at_out_of_range" }
  const customer = customers.get(signal.customerId)
  if (customer === undefined) return { status: "refused", code: "customer_unknown" }
  const read = await readNew(signal, customer, receivedAt)
  return { status: "read", key: read.delivery.providerEventId, read, customerId: customer.id }
}

/** Not from the future, and not from before anything that matters. */
function isTimely({ occurredAt }: Signal, now: Date): boolean {
  const ageMs = occurredAt === undefined ? 0 : now.getTime() - Date.parse(occurredAt)
  return ageMs >= -AHEAD_MS && ageMs <= AGE_MS_MAX
}

const idsOf = (streams: readonly Stream[]) => streams.map(({ customer }) => customer.id)

/** What there is to do for each customer, once. */
const worksOf = (streams: readonly Stream[], reads: readonly ReadDelivery[]) =>
  streams.map((stream) => {
    const { provider, providerCustomerId } = stream.customer
    const own = reads
      .filter((read) => read.provider === provider && read.delivery.customer === providerCustomerId)
      .map(workOf)
    const events = own.flatMap((work) => work.events)
    const factIds = own.flatMap((work) => work.factIds)
    return { stream, work: { events, factIds, contactWords: [], ownFacts: [] } }
  })

function readNew(signal: Signal, customer: NamedCustomer, receivedAt: Date): Promise<ReadDelivery> {
  const occurredAt = (signal.occurredAt === undefined ? receivedAt : new Date(signal.occurredAt)).toISOString()
  const stored = { ...signal, occurredAt, customerId: customer.providerCustomerId }
  return asDelivery(stored, customer.provider, utf8(JSON.stringify(stored)), receivedAt)
}

/** Reads a signal again from its stored payload. Throws when it is none: then it was not written by this code. */
export async function readStoredSignal(
  provider: ProviderName,
  rawBody: Uint8Array,
  receivedAt: Date,
): Promise<ReadDelivery> {
  return asDelivery(storedSchema.parse(JSON.parse(fromUtf8(rawBody))), provider, rawBody, receivedAt)
}

async function asDelivery(
  stored: z.infer<typeof storedSchema>,
  provider: ProviderName,
  rawBody: Uint8Array,
  receivedAt: Date,
): Promise<ReadDelivery> {
  const { kind, id, customerId: customer, occurredAt } = stored
  // The sender's own names for a signal and a ticket: kept for good, so neither may be an address.
  const providerEventId = `signal_${await withoutAddress(id)}`
  return {
    provider,
    path: null,
    rawBody,
    headers: new Headers(),
    receivedAt,
    eventId: await idOfNames(["signal", id]),
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
      const ticketId = await withoutAddress(signal.ticketId)
      return { kind: signal.kind, ticketId, isNegative: signal.sentiment === "negative", occurredAt }
    }
    case "ticket_closed": {
      const isNegative = signal.sentiment === null ? null : signal.sentiment === "negative"
      return { kind: signal.kind, ticketId: await withoutAddress(signal.ticketId), isNegative, occurredAt }
    }
  }
}
