/** Unmapped events: the sweep ingests them once their account is registered, or purges them after the retention period. */
import {
  mappableEvents,
  readUnmappedPayload,
  removeUnmapped,
  removeUnmappedBefore,
  type UnmappedEvent,
} from "../../db/queries/webhooks/unmapped.ts"
import { open } from "../../shared/crypto/seal.ts"
import { ownsAllAccounts } from "../platform/companies.ts"
import type { Services } from "../platform/services.ts"
import { ingest } from "./ingest.ts"
import { headersOfStored, readDelivery, type VerifiedDelivery } from "./read-delivery.ts"
import { ownerOf } from "./record-delivery.ts"
import { unmappedSealContext } from "./store-unmapped.ts"

/** The same as that of raw payloads. */
const RETENTION_MS = 30 * 24 * 60 * 60_000

/** The most events of one run. */
const BATCH_MAX = 50

/**
 * Ingests events whose account was registered since they were received; returns how many. `hasBudget` is called before each.
 * One that cannot be read stays, for an operator.
 */
export async function ingestMapped(services: Services, hasBudget: () => Promise<boolean>): Promise<number> {
  const { config, db, log } = services
  const own = {
    keyAccount: config.channels.whop.companyId,
    isAny: ownsAllAccounts(services, "whop"),
    companyId: config.access.defaultCompanyId,
  }
  let ingested = 0
  for (const { id, path } of await mappableEvents(db, own, BATCH_MAX)) {
    if (!(await hasBudget())) break
    const event = await readUnmappedPayload(db, { id, path })
    if (event === null) continue
    try {
      const read = await readDelivery(services, await verifiedDeliveryOf(services, event))
      const { companyId, follow } = await ingest(services, read, await ownerOf(services, read))
      // This isolate may have cached, for a minute, that no company has registered the account.
      if (companyId === null) continue
      await removeUnmapped(db, { id, path })
      ingested += 1
      await follow?.()
    } catch (error) {
      log.error("unmapped_event_ingest_failed", { provider: event.provider, eventId: id, error })
    }
  }
  return ingested
}

/** Deletes events whose account was not registered within the retention period; returns how many. */
export async function purgeUnmapped({ db, log, now }: Services): Promise<number> {
  const count = await removeUnmappedBefore(db, new Date(now().getTime() - RETENTION_MS))
  if (count > 0) log.warn("unmapped_events_purged", { count })
  return count
}

async function verifiedDeliveryOf({ config }: Services, event: UnmappedEvent): Promise<VerifiedDelivery> {
  const { id, path, provider, receivedAt, isOwnSecret } = event
  return {
    ...{ provider, receivedAt, isOwnSecret },
    path: path === "" ? null : path,
    rawBody: await open(config.keys.encryption, unmappedSealContext(id, path), event.payload),
    headers: headersOfStored(event),
  }
}
