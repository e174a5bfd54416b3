/**
 * Records missing events, through the same path as a webhook: first all are recorded, then each customer is advanced once.
 * Nothing is decided in between, so that a payment is known before an earlier failure is acted on.
 */
import { databaseFailure } from "../../db/client.ts"
import type { Target } from "../../db/queries/reconcile/reconciliation.ts"
import type { EventRef } from "../../db/queries/recovery/commit.ts"
import { loadStream } from "../../db/queries/recovery/stream.ts"
import { holdEvent } from "../../db/queries/webhooks/event-status.ts"
import { type HistoricalEvent, type ProviderApi, ProviderApiError } from "../../shared/provider.ts"
import { ownerOfDelivery } from "../platform/companies.ts"
import { AppError } from "../platform/errors.ts"
import { apiFor, isOwnKeyAccount } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { advance } from "../recovery/advance.ts"
import type { ContactUpdate } from "../recovery/customers/customer-contact.ts"
import { processingOf, type ReadDelivery, readDelivery } from "../webhooks/read-delivery.ts"
import { acceptDelivery, ownerOf } from "../webhooks/record-delivery.ts"

/** Some of a Worker's six connections are for the provider. */
const CONCURRENCY_MAX = 4

/** Customers with new facts in their ledger, by our id, with the events that brought them. */
export type ChangedCustomers = Map<
  string,
  { readonly events: EventRef[]; readonly factIds: string[]; readonly contactUpdates: ContactUpdate[] }
>

/** Reads an event of the provider's list as a delivery to this company; null: the body cannot be read. */
export async function readListed(
  services: Services,
  { companyId, provider }: Target,
  { rawBody, headers }: HistoricalEvent,
): Promise<ReadDelivery | null> {
  try {
    const listed = { provider, path: companyId, rawBody, headers, receivedAt: services.now() }
    const read = await readDelivery(services, listed)
    // The company's own key reads its own account only, which nobody has to register.
    const isOwnSecret = await isOwnKeyAccount(services, { provider, companyId, account: read.delivery.account })
    return { ...read, isOwnSecret }
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

/** Whether the event's account belongs to the target's company: it may be registered for another one. */
export async function isOwnedByCompany(
  services: Services,
  target: Target,
  { delivery, isOwnSecret = false }: ReadDelivery,
): Promise<boolean> {
  const { provider, account } = delivery
  const owner = await ownerOfDelivery(services, { provider, path: target.companyId, account, isOwnSecret })
  return owner.kind === "company"
}

/** The API for the compared account. Throws `ProviderApiError` when it is not the company's any more. */
export async function apiOfTarget(services: Services, { companyId, provider, account }: Target): Promise<ProviderApi> {
  const api = await apiFor(services, { companyId, provider, named: account === "" ? null : account })
  if (api === null) throw new ProviderApiError("the account is not the company's", { retry: false, status: null })
  return api
}

/** How many were recorded now, and which of them Postgres can never store. The rest was received meanwhile. */
export interface RecordResult {
  readonly newCount: number
  readonly rejected: readonly ReadDelivery[]
}

/** Records deliveries, each once, and adds their customers to `changed`. Throws while Postgres is down. */
export async function recordAll(
  services: Services,
  reads: readonly ReadDelivery[],
  changed: ChangedCustomers,
): Promise<RecordResult> {
  const rejected: ReadDelivery[] = []
  let newCount = 0
  await forEachLimited(reads, async (read) => {
    try {
      const { recorded } = await acceptDelivery(services, read, await ownerOf(services, read))
      if (recorded.isNew) newCount += 1
      if (recorded.stream !== null) addChange(changed, recorded.stream.customer.id, read)
    } catch (error) {
      // One that can never be stored must not block all others.
      if (databaseFailure(error) !== "rejected") throw error
      services.log.error("listed_event_refused", { companyId: read.path, provider: read.provider, error })
      rejected.push(read)
    }
  })
  return { newCount, rejected }
}

function addChange(changed: ChangedCustomers, customerId: string, read: ReadDelivery): void {
  const { events, factIds, contactUpdates } = processingOf(read)
  const change = changed.get(customerId) ?? { events: [], factIds: [], contactUpdates: [] }
  change.events.push(...events)
  change.factIds.push(...factIds)
  change.contactUpdates.push(...contactUpdates)
  changed.set(customerId, change)
}

/** Folds and decides, each customer once. What fails is left to the sweep, which finds it within a minute. */
export async function advanceAll(services: Services, companyId: string, changed: ChangedCustomers): Promise<void> {
  if (changed.size === 0) return
  const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
  await forEachLimited([...changed], async ([customerId, work]) => {
    try {
      if (!isProcessing) {
        for (const event of work.events) await holdEvent(services.db, companyId, event)
        return
      }
      const stream = await loadStream(services.db, companyId, customerId, { whole: true })
      if (stream !== null) await advance(services, stream, { ...work, ownFacts: [] })
    } catch (error) {
      services.log.warn("advance_deferred_to_sweep", { companyId, customerId, error })
    }
  })
  changed.clear()
}

/** `CONCURRENCY_MAX` at a time; the first error is thrown once those under way have ended. */
async function forEachLimited<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += CONCURRENCY_MAX) {
    const results = await Promise.allSettled(items.slice(start, start + CONCURRENCY_MAX).map(work))
    const failed = results.find((result) => result.status === "rejected")
    if (failed) throw failed.reason
  }
}
