/** The payload of a stored event: opened to process the event again, or for somebody who may read it. */
import { readStoredEvent, type StoredEvent } from "../../../db/queries/webhooks/events.ts"
import { fromUtf8 } from "../../../shared/crypto/bytes.ts"
import { open, payloadPurpose, SealError } from "../../../shared/crypto/seal.ts"
import { AppError } from "../../platform/errors.ts"
import type { Principal, Services } from "../../platform/services.ts"

/** The body as it was received. Throws `SealError` when no key of the deployment opens it. */
export function openPayload({ config }: Services, event: StoredEvent, payload: Uint8Array): Promise<Uint8Array> {
  const { companyId, id, receivedAt } = event
  const place = {
    purpose: payloadPurpose(companyId, receivedAt),
    context: ["webhook_events", "payload", id, companyId],
  }
  return open(config.keys.encryption, place, payload)
}

/** The refusal where the payload was purged. */
export const payloadPurged = (): AppError =>
  new AppError("CONFLICT", "The payload of this event is no longer kept.", { reason: "payload_purged" })

/**
 * The text that the provider sent, for its reader; who read which is logged. Throws NOT_FOUND, and CONFLICT once the payload
 * was purged or when it does not open.
 */
export async function readPayload(services: Services, { companyId, keyId }: Principal, id: string): Promise<string> {
  const event = await readStoredEvent(services.db, companyId, id)
  if (event === null) throw new AppError("NOT_FOUND", "There is no such event.")
  if (event.payload === null) throw payloadPurged()
  try {
    const body = await openPayload(services, event, event.payload)
    services.log.info("event_payload_read", { companyId, keyId, eventId: id })
    return fromUtf8(body)
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    throw new AppError("CONFLICT", "The payload of this event does not open with the deployment's keys.", {
      reason: "payload_does_not_open",
      cause: error,
    })
  }
}
