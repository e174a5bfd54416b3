/**
 * The provider's subscriptions as they are now, compared with what our ledger says of them. A difference is repaired by an
 * event that tells of the provider's state, through the same path as any other; nothing is overwritten in place.
 */
import {
  type KnownCustomer,
  knownCustomers,
  markSubscriptionsChecked,
  uncheckedSubscriptions,
} from "../../db/queries/reconcile/known-events.ts"
import type { ReconciliationRow, Target } from "../../db/queries/reconcile/reconciliation.ts"
import { sha256, toBase64Url, utf8 } from "../../shared/crypto/bytes.ts"
import { type Difference, hasEnded, subscriptionDifferences } from "../../shared/domain/reconcile/reconcile.ts"
import { EMPTY_STATE, subscriptionOf } from "../../shared/domain/state.ts"
import type { ProviderSubscription } from "../../shared/provider.ts"
import type { Services } from "../platform/services.ts"
import { factsOf, type ReadDelivery } from "../webhooks/read-delivery.ts"
import { addDifferences, addUnavailable, type ReconcilePass, runStep } from "./comparison.ts"
import {
  advanceAll,
  apiOfTarget,
  type ChangedCustomers,
  isOwnedByCompany,
  readListed,
  recordAll,
} from "./record-events.ts"

const PAGE_MAX = 100
const PAGE_MIN = 10

/** Calls that a subscription which differs may cost: its repair is recorded, its customer read and brought up to date. */
const COMPARED_SUBREQUESTS = 4

/** Each of ours that the provider did not show costs a call of its own. */
const CALLS_PER_PAGE = 20

/** Bounds of one step. */
const PAGES_MAX = 25

/** The id of a subscription in the id of an event, cut where an id of an event would be too long. */
const ID_CHARS_MAX = 80

export interface SubscriptionsStep {
  /** No further page is begun after this moment. */
  readonly untilMs: number
  /** Whether the company has no other account at this provider. */
  readonly isOnlyAccount: boolean
}

/** Takes one step of the comparison of subscriptions. Null: another worker is at it. */
export function stepSubscriptions(
  services: Services,
  target: Target,
  { untilMs, isOnlyAccount }: SubscriptionsStep,
): Promise<ReconciliationRow | null> {
  const now = services.now().toISOString()
  return runStep(services, {
    key: { ...target, kind: "subscriptions" },
    since: null,
    window: () => ({ from: now, until: now, gap: null }),
    completeUntil: ({ startedAt }) => new Date(startedAt),
    work: async (pass, save) => {
      const touched: ChangedCustomers = new Map()
      try {
        for (let pages = 1; ; pages++) {
          const hasEnded =
            pass.phase === "theirs"
              ? await compareTheirs(services, target, pass, touched)
              : await compareOurs(services, target, pass, touched, isOnlyAccount)
          if (hasEnded) return true
          await save()
          const hasRoom = services.budget.hasRoomFor(PAGE_MIN * COMPARED_SUBREQUESTS)
          if (pages >= PAGES_MAX || services.now().getTime() >= untilMs || !hasRoom) return false
        }
      } finally {
        await advanceAll(services, target.companyId, touched)
      }
    },
  })
}

/** As many as the invocation has room for. */
const pageSize = ({ budget }: Services, max: number): number =>
  Math.min(max, Math.max(PAGE_MIN, Math.floor(budget.room() / COMPARED_SUBREQUESTS)))

/** A page of what the provider shows. It never ends the pass: what we have besides comes after it. */
async function compareTheirs(
  services: Services,
  target: Target,
  pass: ReconcilePass,
  touched: ChangedCustomers,
): Promise<false> {
  const at = services.now()
  const api = await apiOfTarget(services, target)
  const { subscriptions, cursor } = await api.listSubscriptions({
    cursor: pass.cursor,
    limit: pageSize(services, PAGE_MAX),
  })
  await compare(services, target, pass, subscriptions, at, touched)
  pass.cursor = cursor
  if (cursor === null) pass.phase = "ours"
  return false
}

/** Some of ours that the provider did not show: they have ended there, or never were. True when there are no more. */
async function compareOurs(
  services: Services,
  target: Target,
  pass: ReconcilePass,
  touched: ChangedCustomers,
  isOnlyAccount: boolean,
): Promise<boolean> {
  const { db } = services
  const since = new Date(pass.startedAt)
  const limit = pageSize(services, CALLS_PER_PAGE)
  const left = await uncheckedSubscriptions(db, target, { since, limit, isOnlyAccount })
  const found: ProviderSubscription[] = []
  const api = await apiOfTarget(services, target)
  const at = services.now()
  for (const subscriptionId of left) {
    const subscription = await api.findSubscription({ subscriptionId })
    if (subscription !== null) found.push(subscription)
    else {
      const difference = { subscriptionId, field: "subscription", ours: "living", theirs: null }
      addDifferences(pass, [difference])
      addUnavailable(pass, { reason: "unknown_to_provider", subscriptionId })
      pass.counts.checked += 1
    }
  }
  await compare(services, target, pass, found, at, touched)
  await markSubscriptionsChecked(db, target, left, services.now())
  return left.length < limit
}

interface Compared {
  readonly subscription: ProviderSubscription
  readonly read: ReadDelivery
  readonly known: KnownCustomer | undefined
}

async function compare(
  services: Services,
  target: Target,
  pass: ReconcilePass,
  subscriptions: readonly ProviderSubscription[],
  at: Date,
  touched: ChangedCustomers,
): Promise<void> {
  const { companyId, provider } = target
  const shown: { subscription: ProviderSubscription; read: ReadDelivery; customer: string }[] = []
  for (const subscription of subscriptions) {
    const read = await readEvent(services, target, subscription, { id: `sync_${shown.length}`, at, isRevived: false })
    const customer = read?.delivery.customer ?? null
    if (read === null || customer === null || read.delivery.facts.length === 0) {
      addUnavailable(pass, { reason: "unreadable", subscriptionId: subscription.subscriptionId })
    } else if (await isOwnedByCompany(services, target, read)) shown.push({ subscription, read, customer })
  }
  const known = await knownCustomers(services.db, companyId, provider, [
    ...new Set(shown.map(({ customer }) => customer)),
  ])
  const repairs: ReadDelivery[] = []
  for (const { subscription, read, customer } of shown) {
    const repair = await repairOf(
      services,
      target,
      { subscription, read, known: known.get(customer) },
      { passId: pass.id, at },
    )
    addDifferences(pass, repair.differences)
    if (repair.read !== null) repairs.push(repair.read)
  }
  const { isNew, refused } = await recordAll(services, repairs, touched)
  pass.counts.checked += subscriptions.length
  pass.counts.repaired += isNew
  for (const { delivery } of refused) {
    addUnavailable(pass, { reason: "not_repairable", providerEventId: delivery.providerEventId })
  }
  await markSubscriptionsChecked(
    services.db,
    target,
    subscriptions.map(({ subscriptionId }) => subscriptionId),
    services.now(),
  )
}

/** In what we differ, and the event that ends it; none where we do not. */
async function repairOf(
  services: Services,
  target: Target,
  { subscription, read, known }: Compared,
  { passId, at }: { readonly passId: string; readonly at: Date },
): Promise<{ readonly differences: readonly Difference[]; readonly read: ReadDelivery | null }> {
  const { subscriptionId } = subscription
  const state = known?.state ?? EMPTY_STATE
  const endsIt = read.delivery.facts.some(({ kind }) => kind === "subscription_ended")
  const isRevived = hasEnded(state, subscriptionId) && !endsIt
  const probe = isRevived
    ? await readEvent(services, target, subscription, { id: "sync_revived", at, isRevived })
    : read
  if (probe === null) return { differences: [], read: null }
  const differences = subscriptionDifferences(state, subscriptionId, factsOf(probe))
  if (differences.length === 0) return { differences, read: null }
  // Found again in the same pass, by whoever takes up a lost step, it is one event; in a later pass it is another.
  const content = JSON.stringify([passId, differences, known?.version ?? 0])
  const digest = toBase64Url(await sha256(utf8(content))).slice(0, 22)
  const id = `sync_${subscriptionId.replaceAll(/[^A-Za-z0-9_-]/g, "-").slice(0, ID_CHARS_MAX)}_${digest}`
  const repair = await readEvent(services, target, subscription, { id, at, isRevived })
  // Of a subscription that we never heard of, all is of a time before we were told: nobody is nudged for it.
  const isHistory = subscriptionOf(state, subscriptionId) === undefined
  return { differences, read: repair === null ? null : { ...repair, isHistory } }
}

const readEvent = (
  services: Services,
  target: Target,
  subscription: ProviderSubscription,
  told: Parameters<ProviderSubscription["toEvent"]>[0],
): Promise<ReadDelivery | null> => readListed(services, target, subscription.toEvent(told))
