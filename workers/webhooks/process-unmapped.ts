/** Events that name an account of no company: taken in by the sweeper once the account is registered, or forgotten in the end. */
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
import { readDelivery, type VerifiedDelivery } from "./read-delivery.ts"
import { ownerOf } from "./record-delivery.ts"
import { unmappedSealContext } from "./store-unmapped.ts"

/** As long as raw payloads are kept. */
const RETENTION_MS = 30 * 24 * 60 * 60_000

/** How many of them a run looks at. */
const BATCH_MAX = 50

/**
 * Takes in events whose account was registered since they came; answers how many. `mayGoOn` is asked before each. One that
 * cannot be read stays for a person to look at.
 */
export async function ingestMapped(services: Services, mayGoOn: () => Promise<boolean>): Promise<number> {
  const { config, db, log } = services
  const own = {
    keyAccount: config.channels.whop.companyId,
    isAny: ownsAllAccounts(services, "whop"),
    companyId: config.access.defaultCompanyId,
  }
  let taken = 0
  for (const { id, path } of await mappableEvents(db, own, BATCH_MAX)) {
    if (!(await mayGoOn())) break
    const event = await readUnmappedPayload(db, { id, path })
    if (event === null) continue
    try {
      const read = await readDelivery(services, await believedOf(services, event))
      const { companyId, follow } = await ingest(services, read, await ownerOf(services, read))
      // This isolate may remember for a minute that the account was registered for nobody.
      if (companyId === null) continue
      await removeUnmapped(db, { id, path })
      taken += 1
      await follow?.()
    } catch (error) {
      log.error("unmapped_event_ingest_failed", { provider: event.provider, eventId: id, error })
    }
  }
  return taken
}

/** Forgets those that nobody registered an account for in all that time; answers how many. */
export async function purgeUnmapped({ db, log, now }: Services): Promise<number> {
  const count = await removeUnmappedBefore(db, new Date(now().getTime() - RETENTION_MS))
  if (count > 0) log.warn("unmapped_events_purged", { count })
  return count
}

async function believedOf({ config }: Services, event: UnmappedEvent): Promise<VerifiedDelivery> {
  const { id, path, provider, providerEventId, occurredAt, receivedAt, isOwnSecret } = event
  return {
    ...{ provider, receivedAt, isOwnSecret },
    path: path === "" ? null : path,
    rawBody: await open(config.keys.encryption, unmappedSealContext(id, path), event.payload),
    // Events of Whop's old shape are named and dated by their headers.
    headers: new Headers({
      "webhook-id": providerEventId,
      "webhook-timestamp": String(Math.floor(occurredAt.getTime() / 1000)),
    }),
  }
}
