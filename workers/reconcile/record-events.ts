/**
 * What was missing, through the same path as a webhook: first everything is written down, then each customer is brought up to
 * date once. In between nobody decides anything, so that a payment is known before the failure that came before it.
 */
import { databaseFailure } from "../../db/client.ts"
import type { Target } from "../../db/queries/reconcile/reconciliation.ts"
import type { EventRef } from "../../db/queries/recovery/commit.ts"
import { loadStream } from "../../db/queries/recovery/stream.ts"
import { holdEvent } from "../../db/queries/webhooks/event-status.ts"
import { type HistoricalEvent, type ProviderApi, ProviderApiError } from "../../shared/provider.ts"
import { ownerOfDelivery } from "../platform/companies.ts"
import { AppError } from "../platform/errors.ts"
import { apiFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { advance } from "../recovery/advance.ts"
import type { ContactUpdate } from "../recovery/customer-contact.ts"
import { processingOf, type ReadDelivery, readDelivery } from "../webhooks/read-delivery.ts"
import { acceptDelivery } from "../webhooks/record-delivery.ts"

/** Of a Worker's six connections, some are for the provider. */
const AT_ONCE = 4

/** Customers who have something new in their ledger, by our id, with what brought it. */
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
    return await readDelivery(services, { provider, path: companyId, rawBody, headers, receivedAt: services.now() })
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

/** Whether the event's account is the target's company's: an account may be registered for another one. */
export async function isOwnedByCompany(
  services: Services,
  target: Target,
  { delivery }: ReadDelivery,
): Promise<boolean> {
  const { provider, account } = delivery
  const owner = await ownerOfDelivery(services, { provider, path: target.companyId, account, isOwnSecret: false })
  return owner.kind === "company"
}

/** The API for what is compared. Throws `ProviderApiError` when the account is not the company's any more. */
export async function apiOfTarget(services: Services, { companyId, provider, account }: Target): Promise<ProviderApi> {
  const api = await apiFor(services, { companyId, provider, named: account === "" ? null : account })
  if (api === null) throw new ProviderApiError("the account is not the company's", { retry: false, status: null })
  return api
}

/** How many were written down now, and which of them Postgres will never take. The rest had come meanwhile. */
export interface RecordResult {
  readonly isNew: number
  readonly refused: readonly ReadDelivery[]
}

/** Writes deliveries down, each once for good, and notes whom they concern. Throws while Postgres is away. */
export async function recordAll(
  services: Services,
  reads: readonly ReadDelivery[],
  touched: ChangedCustomers,
): Promise<RecordResult> {
  const refused: ReadDelivery[] = []
  let isNew = 0
  await forEachLimited(reads, async (read) => {
    try {
      const { recorded } = await acceptDelivery(services, read)
      if (recorded.isNew) isNew += 1
      if (recorded.stream !== null) note(touched, recorded.stream.customer.id, read)
    } catch (error) {
      // One that can never be stored must not keep all others back.
      if (databaseFailure(error) !== "rejected") throw error
      services.log.error("listed_event_refused", { companyId: read.path, provider: read.provider, error })
      refused.push(read)
    }
  })
  return { isNew, refused }
}

function note(touched: ChangedCustomers, customerId: string, read: ReadDelivery): void {
  const { events, factIds, contactUpdates } = processingOf(read)
  const present = touched.get(customerId) ?? { events: [], factIds: [], contactUpdates: [] }
  present.events.push(...events)
  present.factIds.push(...factIds)
  present.contactUpdates.push(...contactUpdates)
  touched.set(customerId, present)
}

/** Folds and decides, each customer once. What fails is left to the sweeper, which finds it in a minute. */
export async function advanceAll(services: Services, companyId: string, touched: ChangedCustomers): Promise<void> {
  if (touched.size === 0) return
  const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
  await forEachLimited([...touched], async ([customerId, work]) => {
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
  touched.clear()
}

/** A few at a time; the first that throws ends it once those under way have ended. */
async function forEachLimited<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const results = await Promise.allSettled(items.slice(start, start + AT_ONCE).map(work))
    const failed = results.find((result) => result.status === "rejected")
    if (failed) throw failed.reason
  }
}
