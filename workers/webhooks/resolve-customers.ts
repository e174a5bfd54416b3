/** Facts stored under an object's id, because no event named its customer: a job looks the customer up at the provider. */
import { linkToCustomer, recordLookup, type WaitingObject } from "../../db/queries/recovery/sweep.ts"
import { apiForSubject } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { advance } from "../recovery/advance.ts"

/** Looks up the customer of an object; true when its facts were moved to the customer's ledger. */
export async function resolveCustomerOfObject(services: Services, object: WaitingObject): Promise<boolean> {
  const { db, log, now } = services
  const { companyId, provider, objectId: subject } = object
  await recordLookup(db, object, now())
  try {
    const api = await apiForSubject(services, { companyId, provider, subject })
    const owner = api === null ? null : await api.customerOf(subject)
    if (owner === null) return false
    const { stream, events } = await linkToCustomer(db, object, owner.customer, owner.objects, now())
    if (stream !== null) await advance(services, stream, { events, factIds: [], contactUpdates: [], ownFacts: [] })
    return stream !== null
  } catch (error) {
    log.warn("object_lookup_failed", { companyId, provider, error })
    return false
  }
}
