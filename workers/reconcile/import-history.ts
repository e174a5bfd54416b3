/**
 * Imports one page of a company's past, through the same reading, ledger and folding as webhooks: the ids of its events mark
 * them as history, for which no nudges are sent. A page is recorded in one round trip and folded in another; imported again,
 * after a crash or by a second runner, it changes nothing.
 */
import { type BackfillRow, finishPage } from "../../db/queries/reconcile/backfills.ts"
import { type RecordedHistory, recordHistory } from "../../db/queries/recovery/stream.ts"
import { type HistoricalEvent, type HistoryPage, ProviderApiError } from "../../shared/provider.ts"
import { AppError } from "../platform/errors.ts"
import { apiFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { advanceAll } from "../recovery/advance.ts"
import { processingOf, type ReadDelivery, readDelivery } from "../webhooks/read-delivery.ts"
import { newEventOf } from "../webhooks/record-delivery.ts"

/** Events of one page: reading, sealing, recording and folding them fits into a request with room to spare. */
const PAGE_EVENTS_MAX = 50

/** When a client should try again while the provider is busy or down. */
const RETRY_AFTER_SECONDS = 5

/**
 * Imports the next page of a backfill that is not finished, and saves its progress. Throws UNAVAILABLE when the provider's
 * API may answer later, CONFLICT when it never will.
 */
export async function importPage(services: Services, backfill: BackfillRow): Promise<BackfillRow> {
  const page = await fetchPage(services, backfill)
  const { reads, unreadable } = await readAll(services, backfill, page.events)
  if (reads.length > 0) await record(services, backfill, reads)

  const reached = page.cursor === null ? backfill.until : reachedBy(page, backfill)
  return finishPage(services.db, backfill, { cursor: page.cursor, reached, unreadable }, services.now())
}

/** The time of the page's last event; customers and subscriptions may be older than the requested start. */
function reachedBy({ events }: HistoryPage, { since, reached }: BackfillRow): Date {
  if (events.length === 0) return reached
  const latestMs = Math.max(...events.map(({ occurredAt }) => Date.parse(occurredAt)))
  return new Date(Math.max(latestMs, since.getTime()))
}

async function fetchPage(services: Services, backfill: BackfillRow): Promise<HistoryPage> {
  const { log } = services
  const { companyId, provider, since, until, cursor, account } = backfill
  const api = await apiFor(services, { companyId, provider, named: account === "" ? null : account })
  if (api === null) {
    throw new AppError("CONFLICT", "This account cannot be read for the company.", { reason: "foreign_account" })
  }
  try {
    return await api.listHistory({ since, until, cursor, limit: PAGE_EVENTS_MAX })
  } catch (error) {
    if (!(error instanceof ProviderApiError)) throw error
    log.warn("history_list_failed", { companyId, provider, error })
    throw error.retry
      ? new AppError("UNAVAILABLE", "The provider's API does not answer now. Please try again.", {
          reason: "provider_away",
          retryAfterSeconds: RETRY_AFTER_SECONDS,
          cause: error,
        })
      : new AppError("CONFLICT", "The provider's API refuses to be read. Is its key configured, and may it list?", {
          reason: "provider_refuses",
          cause: error,
        })
  }
}

async function readAll(
  services: Services,
  { companyId, provider }: BackfillRow,
  events: readonly HistoricalEvent[],
): Promise<{ readonly reads: readonly ReadDelivery[]; readonly unreadable: number }> {
  const receivedAt = services.now()
  const reads: ReadDelivery[] = []
  for (const { rawBody, headers, providerEventId } of events) {
    try {
      reads.push(await readDelivery(services, { provider, path: companyId, rawBody, headers, receivedAt }))
    } catch (error) {
      if (!(error instanceof AppError && error.code === "MALFORMED")) throw error
      services.log.warn("history_event_invalid", { companyId, provider, providerEventId, error })
    }
  }
  return { reads, unreadable: events.length - reads.length }
}

async function record(services: Services, backfill: BackfillRow, reads: readonly ReadDelivery[]): Promise<void> {
  const { companyId, id: backfillId } = backfill
  const owner = { companyId, isProcessing: true }
  const events = await Promise.all(reads.map((read) => newEventOf(services, read, owner)))
  const now = services.now().toISOString()
  const recorded = await recordHistory(services.db, { companyId, backfillId, events, now })
  await advanceAll(services, companyId, workByCustomer(recorded, reads))
}

/** The work for each customer of the page, so that each is advanced once. */
function workByCustomer({ streams, outcomes }: RecordedHistory, reads: readonly ReadDelivery[]) {
  return streams.map((stream) => {
    const own = reads.filter((_, index) => outcomes[index]?.customerId === stream.customer.id).map(processingOf)
    const work = {
      events: own.flatMap(({ events }) => events),
      factIds: own.flatMap(({ factIds }) => factIds),
      contactUpdates: own.flatMap(({ contactUpdates }) => contactUpdates),
      ownFacts: [],
    }
    return { stream, work }
  })
}
