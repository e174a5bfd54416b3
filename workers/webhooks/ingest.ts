/** Record and advance: what happens to every verified delivery, wherever it came from. */
import type { StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import { holdEvent } from "../../db/queries/webhooks/event-status.ts"
import type { DeliveryOwner } from "../platform/companies.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, PROCESSING_SWITCH } from "../platform/switches.ts"
import { advance } from "../recovery/advance.ts"
import { rescoreAfterEvent } from "../scoring/rescore-after-event.ts"
import { processingOf, type ReadDelivery } from "./read-delivery.ts"
import {
  type AcceptedDelivery,
  abandonedAt,
  acceptDelivery,
  isRecording,
  waitUntilRecorded,
} from "./record-delivery.ts"
import { replay } from "./replay.ts"

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
    await giveWay(companyId)
    await advance(services, stream, work, { isTogether: true })
    return rescoreAfterEvent(services, companyId, [stream.customer.id])
  }
  if (isProcessing) return void (await replay(services, companyId, read, abandonedAt(services.now())))
  for (const event of work.events) await holdEvent(services.db, companyId, event)
}

/** Processing gives way to deliveries that wait for their answer, but not for longer than this. */
const GIVE_WAY_MS_MAX = 200

/** More than this many give no more way: each holds its stream in memory. */
const WAITING_MAX = 200

/** When those who wait go on at the latest; one whose request ends counts until then. */
const waitingUntilMs: number[] = []

/** Waits while deliveries of the company are being recorded, so that a burst is acknowledged first. */
async function giveWay(companyId: string): Promise<void> {
  if (!isRecording(companyId)) return
  const nowMs = Date.now()
  while (waitingUntilMs[0] !== undefined && waitingUntilMs[0] <= nowMs) waitingUntilMs.shift()
  if (waitingUntilMs.length >= WAITING_MAX) return
  const limitMs = nowMs + GIVE_WAY_MS_MAX
  waitingUntilMs.push(limitMs)
  await waitUntilRecorded(companyId, GIVE_WAY_MS_MAX)
  const place = waitingUntilMs.indexOf(limitMs)
  if (place >= 0) waitingUntilMs.splice(place, 1)
}
