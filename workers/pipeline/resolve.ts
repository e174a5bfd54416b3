/** Facts that wait under an object's id, because no event named its customer: the provider's API is asked, by a job only. */
import { noteAsked, tieToCustomer, type WaitingObject } from "../../db/queries/sweep.ts"
import type { Services } from "../services.ts"
import { advance } from "./advance.ts"

/** Asks whose object it is; true when its facts have joined their customer's ledger. */
export async function resolveObject(services: Services, object: WaitingObject): Promise<boolean> {
  const { db, log, now, providers } = services
  await noteAsked(db, object, now())
  try {
    const owner = await providers[object.provider].api.customerOf(object.objectId)
    if (owner === null) return false
    const { stream, events } = await tieToCustomer(db, object, owner.customer, owner.objects, now())
    if (stream !== null) await advance(services, stream, { events, factIds: [], contactWords: [], ownFacts: [] })
    return stream !== null
  } catch (error) {
    log.warn("object_not_resolved", { companyId: object.companyId, provider: object.provider, error })
    return false
  }
}
