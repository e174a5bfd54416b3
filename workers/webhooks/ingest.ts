/** Record and advance: what happens to every verified delivery, wherever it came from. */
import type { StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import { holdEvent } from "../../db/queries/webhooks/event-status.ts"
import type { DeliveryOwner } from "../platform/companies.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { advance } from "../recovery/advance.ts"
import { rescoreAfterEvent } from "../scoring/rescore-after-event.ts"
import { processingOf, type ReadDelivery } from "./read-delivery.ts"
import { type AcceptedDelivery, abandonedAt, acceptDelivery, giveWayToDeliveries } from "./record-delivery.ts"
import { replay } from "./replay/replay.ts"

/** Records a delivery of this owner; answers how that went, and the rest of the work, which may follow the answer. */
export async function ingest(
  services: Services,
  read: ReadDelivery,
  owner: DeliveryOwner,
): Promise<AcceptedDelivery & { readonly follow: (() => Promise<void>) | null }> {
  const accepted = await acceptDelivery(services, read, owner)
  const { companyId } = accepted
  const { stream } = accepted.recorded
  const hasWork = companyId !== null && (stream !== null || accepted.isPending)
  return { ...accepted, follow: hasWork ? () => follow(services, companyId, stream, read) : null }
}

/** Recording may use cached switches so that the answer is not delayed; processing reads them again. */
async function follow(
  services: Services,
  companyId: string,
  stream: StreamReading | null,
  read: ReadDelivery,
): Promise<void> {
  const work = processingOf(read)
  const isProcessing = isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)
  if (isProcessing && stream !== null) {
    await giveWayToDeliveries(companyId)
    await advance(services, stream, work, { isTogether: true })
    return rescoreAfterEvent(services, companyId, [stream.customer.id])
  }
  if (isProcessing) return void (await replay(services, companyId, read, abandonedAt(services.now())))
  for (const event of work.events) await holdEvent(services.db, companyId, event)
}
