/**
 * Settles a subscription of which two snapshots of one second contradict each other. Its current state at the provider is
 * recorded as an event of its own, through the same path as any other, with facts that are marked as fetched.
 */
import { recordSubscriptionLookup, type UnsettledSubscription } from "../../db/queries/reconcile/unsettled.ts"
import { loadStream } from "../../db/queries/recovery/stream.ts"
import { sha256, toBase64Url, utf8 } from "../../shared/crypto/bytes.ts"
import type { Fact, Instant } from "../../shared/domain/facts.ts"
import { type CustomerState, subscriptionOf } from "../../shared/domain/state.ts"
import { FETCHED_ID_PREFIX, type ProviderSubscription } from "../../shared/provider.ts"
import { apiForSubject } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { advance } from "../recovery/advance.ts"
import { stateOf } from "../recovery/stream-state.ts"
import { advanceAll, type ChangedCustomers, isOwnedByCompany, readListed, recordAll } from "./record-events.ts"

/**
 * Whether the subscription is settled now. False: no call may be made for the company, the provider does not answer, or it
 * answers about another customer; the lookup is repeated later.
 */
export async function settleSubscription(services: Services, found: UnsettledSubscription): Promise<boolean> {
  const { db, log } = services
  const { companyId, customerId, provider, subscriptionId } = found
  await recordSubscriptionLookup(db, found, services.now())
  try {
    const stream = await loadStream(db, companyId, customerId, { whole: true })
    if (stream === null) return false
    const unsettledAt = subscriptionOf(stateOf(stream), subscriptionId)?.unsettledAt
    // An event that was received meanwhile settled it.
    if (unsettledAt === undefined) return true
    const { providerCustomerId: subject } = stream.customer
    const api = await apiForSubject(services, { companyId, provider, subject })
    if (api === null) return false
    const subscription = await api.findSubscription({ subscriptionId })
    if (subscription !== null) return await record(services, found, subscription, { unsettledAt, subject })
    const now = services.now().toISOString()
    await advance(services, stream, {
      ...{ events: [], factIds: [], contactUpdates: [], ownFacts: [] },
      factsFrom: (state) => notFound(state, subscriptionId, now),
    })
    return true
  } catch (error) {
    log.warn("subscription_not_settled", { companyId, provider, error })
    return false
  }
}

/** The fact that the provider has no such subscription: the snapshot that was chosen stays. */
function notFound(state: CustomerState, subscriptionId: string, now: Instant): readonly Fact[] {
  const unsettledAt = subscriptionOf(state, subscriptionId)?.unsettledAt
  if (unsettledAt === undefined) return []
  // After the last fact in the ledger, also when the provider's clock is ahead of ours.
  const last = state.position?.occurredAt ?? now
  const occurredAt = last < now ? now : new Date(Date.parse(last) + 1).toISOString()
  const id = `subscription_not_found:${subscriptionId}:${unsettledAt}`
  return [{ kind: "subscription_not_found", id, occurredAt, subscriptionId }]
}

async function record(
  services: Services,
  { companyId, provider, subscriptionId }: UnsettledSubscription,
  subscription: ProviderSubscription,
  { unsettledAt, subject }: { readonly unsettledAt: Instant; readonly subject: string },
): Promise<boolean> {
  const target = { companyId, provider, account: "" }
  // Times of events are whole seconds: the next second at the earliest, so that the fetched state follows the snapshots.
  const at = new Date(Math.max(services.now().getTime(), Date.parse(unsettledAt) + 1_000))
  const digest = toBase64Url(await sha256(utf8(JSON.stringify([subscriptionId, unsettledAt])))).slice(0, 22)
  const event = subscription.toEvent({ id: `${FETCHED_ID_PREFIX}${digest}`, at, isRevived: false })
  const read = await readListed(services, target, event)
  if (read === null || read.delivery.customer !== subject || !(await isOwnedByCompany(services, target, read))) {
    services.log.warn("subscription_not_settled", { companyId, provider, reason: "not_the_customers" })
    return false
  }
  const changed: ChangedCustomers = new Map()
  await recordAll(services, [read], changed)
  await advanceAll(services, companyId, changed)
  return true
}
