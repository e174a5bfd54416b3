/**
 * Unmapped events: of an account that no company has registered. Until an operator registers it they are stored sealed and
 * separately, and shown to operators only.
 */
import { recordUnmapped } from "../../db/queries/webhooks/unmapped.ts"
import { type SealContext, sealDeflated } from "../../shared/crypto/seal.ts"
import type { Services } from "../platform/services.ts"
import type { ReadDelivery } from "./read-delivery.ts"

/** The place that the payload of an unmapped event is sealed for. */
export const unmappedSealContext = (id: string, path: string): SealContext => ({
  purpose: { name: "unmapped" },
  context: ["unmapped_events", "payload", id, path],
})

/** Stores the event once, and logs it; false: it is stored already. */
export async function storeUnmapped(services: Services, read: ReadDelivery): Promise<boolean> {
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
    payload: await sealDeflated(config.keys.encryption, unmappedSealContext(eventId, path), rawBody),
  })
  if (isNew) log.warn("unmapped_event_stored", { provider, account, eventId, companyId: read.path })
  return isNew
}
