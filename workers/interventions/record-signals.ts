import { type CustomerLookup, findCustomers } from "../../db/queries/recovery/customers.ts"
import type { StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import { recordSignals } from "../../db/queries/recovery/stream.ts"
import { utf8 } from "../../shared/crypto/bytes.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { advanceAll } from "../recovery/advance.ts"
import { rescoreAfterEvent } from "../scoring/rescore-after-event.ts"
import { processingOf, type ReadDelivery } from "../webhooks/read-delivery.ts"
import { newEventOf } from "../webhooks/record-delivery.ts"
import { type Signal, signalDelivery } from "../webhooks/signal.ts"

/** A sender's clock may be this far ahead of ours, as a provider's may. */
const AHEAD_MS = 5 * 60_000

/** What is older tells nothing of anybody's leaving, and is more likely a unit that was mixed up. */
const AGE_MS_MAX = 10 * 365 * 86_400_000

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
  const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
  const names = signals.filter((signal) => isTimely(signal, receivedAt)).map(({ customerId }) => customerId)
  const customers = await findCustomers(db, companyId, names)
  const judged = await Promise.all(signals.map((signal) => judge(signal, customers, receivedAt)))

  // The first of one id in a batch is the one that counts, as between batches.
  const reads = new Map<string, ReadDelivery>()
  for (const item of judged) if (item.status === "read" && !reads.has(item.key)) reads.set(item.key, item.read)
  const written = { companyId, isProcessing }
  const events = await Promise.all([...reads.values()].map((read) => newEventOf(services, read, written)))
  const { newIds, setAside, streams } = await recordSignals(db, companyId, events)
  log.info("signals_recorded", { companyId, count: signals.length, isNew: newIds.size })
  for (const [key, reason] of Object.entries(setAside)) {
    log.error("customer_quarantined", { companyId, eventId: reads.get(key)?.eventId, reason })
  }

  if (streams.length > 0) {
    // What was set aside is not processed, whatever else of the customer is.
    const isToFold = (key: string) => newIds.has(key) && !Object.hasOwn(setAside, key)
    const fresh = [...reads].flatMap(([key, read]) => (isToFold(key) ? [read] : []))
    waitUntil(
      advanceAll(services, companyId, worksOf(streams, fresh))
        .then(() => rescoreAfterEvent(services, companyId, idsOf(streams)))
        .catch((error) => log.warn("advance_deferred_to_sweep", { companyId, count: fresh.length, error })),
    )
  }
  return judged.map((item) => {
    if (item.status === "refused") return item
    const isNew = newIds.has(item.key) && reads.get(item.key) === item.read
    return { status: isNew ? "recorded" : "duplicate", customerId: item.customerId }
  })
}

type ParsedSignal =
  | Extract<SignalOutcome, { readonly status: "refused" }>
  | { readonly status: "read"; readonly key: string; readonly read: ReadDelivery; readonly customerId: string }

async function judge(
  signal: Signal,
  customers: ReadonlyMap<string, CustomerLookup>,
  receivedAt: Date,
): Promise<ParsedSignal> {
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

const idsOf = (streams: readonly StreamReading[]) => streams.map(({ customer }) => customer.id)

/** What there is to do for each customer, once. */
const worksOf = (streams: readonly StreamReading[], reads: readonly ReadDelivery[]) =>
  streams.map((stream) => {
    const { provider, providerCustomerId } = stream.customer
    const own = reads
      .filter((read) => read.provider === provider && read.delivery.customer === providerCustomerId)
      .map(processingOf)
    const events = own.flatMap((work) => work.events)
    const factIds = own.flatMap((work) => work.factIds)
    return { stream, work: { events, factIds, contactUpdates: [], ownFacts: [] } }
  })

function readNew(signal: Signal, customer: CustomerLookup, receivedAt: Date): Promise<ReadDelivery> {
  const occurredAt = (signal.occurredAt === undefined ? receivedAt : new Date(signal.occurredAt)).toISOString()
  const stored = { ...signal, occurredAt, customerId: customer.providerCustomerId }
  return signalDelivery(stored, customer.provider, utf8(JSON.stringify(stored)), receivedAt)
}
