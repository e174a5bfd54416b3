/** Events that name an account of no company: taken in by the sweeper once the account is registered, or forgotten in the end. */
import {
  mappableEvents,
  openUnmapped,
  removeUnmapped,
  removeUnmappedBefore,
  type UnmappedEvent,
} from "../../db/queries/unmapped.ts"
import { open } from "../../shared/crypto/seal.ts"
import { isAnyAccountOwn } from "../companies.ts"
import type { Services } from "../services.ts"
import { ingest } from "./ingest.ts"
import { unmappedPlace } from "./keep-unmapped.ts"
import { type BelievedDelivery, readDelivery } from "./read-delivery.ts"

/** As long as raw payloads are kept. */
const KEPT_MS = 30 * 24 * 60 * 60_000

/** How many of them a run looks at. */
const BATCH_MAX = 50

/**
 * Takes in events whose account was registered since they came; answers how many. `mayGoOn` is asked before each. One that
 * cannot be read stays for a person to look at.
 */
export async function takeInMapped(services: Services, mayGoOn: () => Promise<boolean>): Promise<number> {
  const { config, db, log } = services
  const own = {
    keyAccount: config.channels.whop.companyId,
    isAny: isAnyAccountOwn(services, "whop"),
    companyId: config.access.defaultCompanyId,
  }
  let taken = 0
  for (const { id, path } of await mappableEvents(db, own, BATCH_MAX)) {
    if (!(await mayGoOn())) break
    const event = await openUnmapped(db, { id, path })
    if (event === null) continue
    try {
      const { companyId, follow } = await ingest(
        services,
        await readDelivery(services, await believedOf(services, event)),
      )
      // This isolate may remember for a minute that the account was registered for nobody.
      if (companyId === null) continue
      await removeUnmapped(db, { id, path })
      taken += 1
      await follow?.()
    } catch (error) {
      log.error("unmapped_event_not_taken_in", { provider: event.provider, eventId: id, error })
    }
  }
  return taken
}

/** Forgets those that nobody registered an account for in all that time; answers how many. */
export async function forgetUnmapped({ db, log, now }: Services): Promise<number> {
  const count = await removeUnmappedBefore(db, new Date(now().getTime() - KEPT_MS))
  if (count > 0) log.warn("unmapped_events_forgotten", { count })
  return count
}

async function believedOf({ config }: Services, event: UnmappedEvent): Promise<BelievedDelivery> {
  const { id, path, provider, providerEventId, occurredAt, receivedAt, isOwnSecret } = event
  return {
    ...{ provider, receivedAt, isOwnSecret },
    path: path === "" ? null : path,
    rawBody: await open(config.keys.encryption, unmappedPlace(id, path), event.payload),
    // Events of Whop's old shape are named and dated by their headers.
    headers: new Headers({
      "webhook-id": providerEventId,
      "webhook-timestamp": String(Math.floor(occurredAt.getTime() / 1000)),
    }),
  }
}
