/**
 * Events that name an account which is registered for no company. They are somebody else's business until an operator
 * registers the account: kept sealed and apart, and shown to operators only.
 */
import { recordUnmapped } from "../../db/queries/unmapped.ts"
import { type SealPlace, seal } from "../../shared/crypto/seal.ts"
import type { Services } from "../services.ts"
import type { ReadDelivery } from "./read-delivery.ts"

/** Where the payload of such an event lies sealed. */
export const unmappedPlace = (id: string, path: string): SealPlace => ({
  purpose: { name: "unmapped" },
  context: ["unmapped_events", "payload", id, path],
})

/** Keeps the event apart, once for good, and tells the log; false: it is there already. */
export async function keepUnmapped(services: Services, read: ReadDelivery): Promise<boolean> {
  const { config, db, log } = services
  const { delivery, eventId, provider, receivedAt, rawBody, isOwnSecret = false } = read
  const path = read.path ?? ""
  const account = delivery.account ?? ""
  const isNew = await recordUnmapped(db, {
    id: eventId,
    ...{ provider, account, path, isOwnSecret, receivedAt },
    providerEventId: delivery.providerEventId,
    type: delivery.type,
    apiVersion: delivery.apiVersion,
    occurredAt: new Date(delivery.occurredAt),
    payload: await seal(config.keys.encryption, unmappedPlace(eventId, path), rawBody),
  })
  if (isNew) log.warn("event_of_unmapped_account", { provider, account, eventId, companyId: read.path })
  return isNew
}
