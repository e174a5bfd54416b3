/**
 * Compares the provider's current subscriptions with our state. A difference is repaired by an event with the provider's
 * state, through the same path as any other; nothing is overwritten in place.
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

/** Subrequests that a subscription which differs may cost: its repair is recorded, its customer loaded and advanced. */
const COMPARED_SUBREQUESTS = 4

/** Each of our subscriptions that the provider did not list costs a call of its own. */
const CALLS_PER_PAGE = 20

/** Bounds of one step. */
const PAGES_MAX = 25

/** How much of a subscription's id is in the id of its repair event, so that this one does not become too long. */
const ID_CHARS_MAX = 80

export interface SubscriptionsStep {
  /** No further page is started after this time. */
  readonly untilMs: number
  /** Whether the company has no other account at this provider. */
  readonly isOnlyAccount: boolean
}

/** Runs one step of the comparison of subscriptions. Null: another worker has the lease. */
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
      const changed: ChangedCustomers = new Map()
      try {
        for (let pages = 1; ; pages++) {
          const isComplete =
            pass.phase === "theirs"
              ? await compareTheirs(services, target, pass, changed)
              : await compareOurs(services, target, pass, changed, isOnlyAccount)
          if (isComplete) return true
          await save()
          const hasRoom = services.budget.hasRoomFor(PAGE_MIN * COMPARED_SUBREQUESTS)
          if (pages >= PAGES_MAX || services.now().getTime() >= untilMs || !hasRoom) return false
        }
      } finally {
        await advanceAll(services, target.companyId, changed)
      }
    },
  })
}

/** As many as the subrequest budget has room for, within bounds. */
const pageSize = ({ budget }: Services, max: number): number =>
  Math.min(max, Math.max(PAGE_MIN, Math.floor(budget.room() / COMPARED_SUBREQUESTS)))

/** Compares a page of the provider's list. It never ends the pass: our subscriptions that are not in the list follow. */
async function compareTheirs(
  services: Services,
  target: Target,
  pass: ReconcilePass,
  changed: ChangedCustomers,
): Promise<false> {
  const at = services.now()
  const api = await apiOfTarget(services, target)
  const { subscriptions, cursor } = await api.listSubscriptions({
    cursor: pass.cursor,
    limit: pageSize(services, PAGE_MAX),
  })
  await compare(services, target, pass, subscriptions, at, changed)
  pass.cursor = cursor
  if (cursor === null) pass.phase = "ours"
  return false
}

/** Looks up some of ours that the provider did not list: they ended there, or never existed. True when none is left. */
async function compareOurs(
  services: Services,
  target: Target,
  pass: ReconcilePass,
  changed: ChangedCustomers,
  isOnlyAccount: boolean,
): Promise<boolean> {
  const { db } = services
  const since = new Date(pass.startedAt)
  const limit = pageSize(services, CALLS_PER_PAGE)
  const unlisted = await uncheckedSubscriptions(db, target, { since, limit, isOnlyAccount })
  const found: ProviderSubscription[] = []
  const api = await apiOfTarget(services, target)
  const at = services.now()
  for (const subscriptionId of unlisted) {
    const subscription = await api.findSubscription({ subscriptionId })
    if (subscription !== null) found.push(subscription)
    else {
      const difference = { subscriptionId, field: "subscription", ours: "living", theirs: null }
      addDifferences(pass, [difference])
      addUnavailable(pass, { reason: "unknown_to_provider", subscriptionId })
      pass.counts.checked += 1
    }
  }
  await compare(services, target, pass, found, at, changed)
  await markSubscriptionsChecked(db, target, unlisted, services.now())
  return unlisted.length < limit
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
  changed: ChangedCustomers,
): Promise<void> {
  const { companyId, provider } = target
  const readable: { subscription: ProviderSubscription; read: ReadDelivery; customer: string }[] = []
  for (const subscription of subscriptions) {
    const read = await readEvent(services, target, subscription, {
      id: `sync_${readable.length}`,
      at,
      isRevived: false,
    })
    const customer = read?.delivery.customer ?? null
    if (read === null || customer === null || read.delivery.facts.length === 0) {
      addUnavailable(pass, { reason: "unreadable", subscriptionId: subscription.subscriptionId })
    } else if (await isOwnedByCompany(services, target, read)) readable.push({ subscription, read, customer })
  }
  const known = await knownCustomers(services.db, companyId, provider, [
    ...new Set(readable.map(({ customer }) => customer)),
  ])
  const repairs: ReadDelivery[] = []
  for (const { subscription, read, customer } of readable) {
    const repair = await repairOf(
      services,
      target,
      { subscription, read, known: known.get(customer) },
      { passId: pass.id, at },
    )
    addDifferences(pass, repair.differences)
    if (repair.read !== null) repairs.push(repair.read)
  }
  const { newCount, rejected } = await recordAll(services, repairs, changed)
  pass.counts.checked += subscriptions.length
  pass.counts.repaired += newCount
  for (const { delivery } of rejected) {
    addUnavailable(pass, { reason: "not_repairable", providerEventId: delivery.providerEventId })
  }
  await markSubscriptionsChecked(
    services.db,
    target,
    subscriptions.map(({ subscriptionId }) => subscriptionId),
    services.now(),
  )
}

/** The differences, and the event that repairs them; null where there are none. */
async function repairOf(
  services: Services,
  target: Target,
  { subscription, read, known }: Compared,
  { passId, at }: { readonly passId: string; readonly at: Date },
): Promise<{ readonly differences: readonly Difference[]; readonly read: ReadDelivery | null }> {
  const { subscriptionId } = subscription
  const state = known?.state ?? EMPTY_STATE
  const isEnd = read.delivery.facts.some(({ kind }) => kind === "subscription_ended")
  const isRevived = hasEnded(state, subscriptionId) && !isEnd
  const current = isRevived
    ? await readEvent(services, target, subscription, { id: "sync_revived", at, isRevived })
    : read
  if (current === null) return { differences: [], read: null }
  const differences = subscriptionDifferences(state, subscriptionId, factsOf(current))
  if (differences.length === 0) return { differences, read: null }
  // The same id when a lost step of this pass is repeated, so that it is one event; another id in a later pass.
  const content = JSON.stringify([passId, differences, known?.version ?? 0])
  const digest = toBase64Url(await sha256(utf8(content))).slice(0, 22)
  const id = `sync_${subscriptionId.replaceAll(/[^A-Za-z0-9_-]/g, "-").slice(0, ID_CHARS_MAX)}_${digest}`
  const repair = await readEvent(services, target, subscription, { id, at, isRevived })
  // A subscription that we do not know predates the company's first event: no nudges are sent for it.
  const isHistory = subscriptionOf(state, subscriptionId) === undefined
  return { differences, read: repair === null ? null : { ...repair, isHistory } }
}

const readEvent = (
  services: Services,
  target: Target,
  subscription: ProviderSubscription,
  event: Parameters<ProviderSubscription["toEvent"]>[0],
): Promise<ReadDelivery | null> => readListed(services, target, subscription.toEvent(event))
