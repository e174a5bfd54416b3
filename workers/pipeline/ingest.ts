/** Record and advance: what happens to every believed delivery, wherever it came from. */
import type { Stream } from "../../db/queries/stream.ts"
import { holdEvent } from "../../db/queries/unfinished.ts"
import type { Services } from "../services.ts"
import { type AcceptedDelivery, type Admit, acceptDelivery, type ReadDelivery } from "./accept.ts"
import { mayAct, PROCESSING } from "./acting.ts"
import { advance } from "./advance.ts"

/** Writes the delivery down; answers how that went, and the rest of the work, which may follow the answer. */
export async function ingest(
  services: Services,
  read: ReadDelivery,
  admit?: Admit,
): Promise<AcceptedDelivery & { readonly follow: (() => Promise<void>) | null }> {
  const accepted = await acceptDelivery(services, read, admit)
  const { stream } = accepted.recorded
  return { ...accepted, follow: stream === null ? null : () => follow(services, accepted.companyId, stream, read) }
}

/** The answer did not wait for the switch, so it may have gone by an old reading; what comes after it does not. */
async function follow(services: Services, companyId: string, stream: Stream, read: ReadDelivery): Promise<void> {
  const work = workOf(read)
  const flags = await services.flags({ isFreshNeeded: true })
  if (mayAct(flags, PROCESSING, companyId)) return advance(services, stream, work)
  for (const event of work.events) await holdEvent(services.db, companyId, event)
}

/** What processing a delivery comes to, beside its facts. */
export const workOf = ({ delivery, eventId, receivedAt }: ReadDelivery) => ({
  events: [{ id: eventId, receivedAt: receivedAt.toISOString() }],
  contactWords:
    delivery.contact === null ? [] : [{ change: delivery.contact, occurredAt: delivery.occurredAt, eventId }],
  ownFacts: [],
})
