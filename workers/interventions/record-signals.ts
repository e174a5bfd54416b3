/**
 * Records the signals that a company sends (usage, support tickets). Each is recorded once under the sender's id, then folded
 * like a provider's event.
 */
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

/** Tolerance for a sender's clock ahead of ours, the same as for providers. */
const AHEAD_MS = 5 * 60_000

/** An older signal does not help to predict churn, and is more likely a timestamp in the wrong unit. */
const AGE_MS_MAX = 10 * 365 * 86_400_000

/** The result for one signal. `refused` was not stored and may be sent again under the same id. */
export type SignalOutcome =
  | { readonly status: "recorded" | "duplicate"; readonly customerId: string }
  | { readonly status: "refused"; readonly code: "customer_unknown" | "occurred_at_out_of_range" }

/** Stores signals, and folds them after the response was sent. Returns the result of each, in the order given. */
export async function ingestSignals(
  services: Services,
  companyId: string,
  signals: readonly Signal[],
): Promise<readonly SignalOutcome[]> {
  const { db, log, now, waitUntil } = services
  const receivedAt = now()
  const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
  const names = signals.filter((signal) => isTimely(signal, receivedAt)).map(({ customerId }) => customerId)
  const customers = await findCustomers(db, companyId, names)
  const parsed = await Promise.all(signals.map((signal) => parseSignal(signal, customers, receivedAt)))

  // Of several signals with one id the first one counts, within a batch as between batches.
  const reads = new Map<string, ReadDelivery>()
  for (const item of parsed) if (item.status === "read" && !reads.has(item.key)) reads.set(item.key, item.read)
  const written = { companyId, isProcessing }
  const events = await Promise.all([...reads.values()].map((read) => newEventOf(services, read, written)))
  const { newIds, setAside, streams } = await recordSignals(db, companyId, events)
  log.info("signals_recorded", { companyId, count: signals.length, isNew: newIds.size })
  for (const [key, reason] of Object.entries(setAside)) {
    log.error("customer_quarantined", { companyId, eventId: reads.get(key)?.eventId, reason })
  }

  if (streams.length > 0) {
    // Signals that were set aside are not folded, although other signals of the same customer are.
    const isToFold = (key: string) => newIds.has(key) && !Object.hasOwn(setAside, key)
    const fresh = [...reads].flatMap(([key, read]) => (isToFold(key) ? [read] : []))
    waitUntil(
      advanceAll(services, companyId, pendingWorkOf(streams, fresh))
        .then(() => rescoreAfterEvent(services, companyId, idsOf(streams)))
        .catch((error) => log.warn("advance_deferred_to_sweep", { companyId, count: fresh.length, error })),
    )
  }
  return parsed.map((item) => {
    if (item.status === "refused") return item
    const isNew = newIds.has(item.key) && reads.get(item.key) === item.read
    return { status: isNew ? "recorded" : "duplicate", customerId: item.customerId }
  })
}

type ParsedSignal =
  | Extract<SignalOutcome, { readonly status: "refused" }>
  | { readonly status: "read"; readonly key: string; readonly read: ReadDelivery; readonly customerId: string }

async function parseSignal(
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

/** Whether the signal's time is within the accepted range. */
function isTimely({ occurredAt }: Signal, now: Date): boolean {
  const ageMs = occurredAt === undefined ? 0 : now.getTime() - Date.parse(occurredAt)
  return ageMs >= -AHEAD_MS && ageMs <= AGE_MS_MAX
}

const idsOf = (streams: readonly StreamReading[]) => streams.map(({ customer }) => customer.id)

/** One unit of work per customer, with all of its signals. */
const pendingWorkOf = (streams: readonly StreamReading[], reads: readonly ReadDelivery[]) =>
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
