/** Record and advance: what happens to every believed delivery, wherever it came from. */
import type { Services } from "../services.ts"
import { type AcceptedDelivery, acceptDelivery, type ReadDelivery } from "./accept.ts"
import { advance } from "./advance.ts"

/** Writes the delivery down; answers how that went, and the rest of the work, which may follow the answer. */
export async function ingest(
  services: Services,
  read: ReadDelivery,
): Promise<AcceptedDelivery & { readonly follow: (() => Promise<void>) | null }> {
  const accepted = await acceptDelivery(services, read)
  const { stream } = accepted.recorded
  return { ...accepted, follow: stream === null ? null : () => advance(services, stream, workOf(read)) }
}

/** What processing a delivery comes to, beside its facts. */
export const workOf = ({ delivery, eventId, receivedAt }: ReadDelivery) => ({
  events: [{ id: eventId, receivedAt: receivedAt.toISOString() }],
  contactWords:
    delivery.contact === null ? [] : [{ change: delivery.contact, occurredAt: delivery.occurredAt, eventId }],
  ownFacts: [],
})
