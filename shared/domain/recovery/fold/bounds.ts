/**
 * How much of one customer the state keeps, so that a customer with any number of facts costs as much as every other one.
 * The ledger keeps everything. What the state drops depends on the order of the ledger only, never on how the facts were
 * cut into batches: it is dropped fact by fact.
 */
import type { Fact, Instant } from "../../facts.ts"
import {
  type CaseState,
  type CustomerState,
  type PaymentState,
  paymentOf,
  type SubscriptionState,
  subscriptionOf,
} from "../../state.ts"
import { entriesWhere, markedIn, sizeOf, withEntry, withoutEntries } from "./records.ts"

/** The bounds, of one customer each. `docs/OPERATIONS.md` says what happens beyond them. */
export const BOUNDS = {
  /** Open cases. A case that would be one more is not opened; `refused.cases` counts how often. */
  openCases: 100,
  /** Closed cases, the newest by the time of closing: a dispute or refund of an older one no longer changes it. */
  closedCases: 100,
  /** Payments without a case, the newest: five years of monthly bills. */
  barePayments: 60,
  /** Payments over the bound that are dropped together, so that looking for them costs little per fact. */
  barePaymentsSlack: 30,
  /**
   * Subscriptions. Those that ended first are dropped for new ones; where all go on, a new one is not taken in, and
   * `refused.subscriptions` counts how often.
   */
  subscriptions: 200,
  /** Ended subscriptions that are dropped together. */
  subscriptionsSlack: 30,
  /**
   * Credit notes, part payments and refunds of one invoice, of each: more that tell of themselves are not taken in. What the
   * invoice and its charge state of their totals counts all the same.
   */
  partsOfInvoice: 100,
  /** Prices of one subscription; Stripe allows twenty. */
  items: 20,
} as const

/** A case that a fold has dropped from the state. */
export interface DroppedCase {
  readonly entry: CaseState
  readonly payment: PaymentState | undefined
}

/**
 * Of the cases that a fold dropped, those that a state stored before (`projected`) does not speak for: one that it had
 * dropped as well closed before all that it still holds. The last word on each.
 */
export function newlyDropped(projected: CustomerState, dropped: readonly DroppedCase[]): readonly DroppedCase[] {
  const present = new Set(projected.cases.map(({ id }) => id))
  const closings = projected.cases.flatMap(({ closedAt }) => closedAt ?? []).sort()
  const since = closings.length >= BOUNDS.closedCases ? (closings[0] ?? "") : ""
  const byId = new Map(dropped.map((one) => [one.entry.id, one]))
  return [...byId.values()].filter(({ entry }) =>
    entry.closedAt === null ? present.has(entry.id) : entry.closedAt >= since || present.has(entry.id),
  )
}

/** The state after `fact`, within the bounds. Cases that it loses are added to `dropped`. */
export function applyBounds(
  before: CustomerState,
  after: CustomerState,
  fact: Fact,
  dropped: DroppedCase[],
): CustomerState {
  let state = after
  if (state.cases !== before.cases) state = boundCases(state, dropped)
  if ("subscription" in fact) state = boundSubscriptions(state, fact.subscription.subscriptionId)
  if ("chargeId" in fact) state = boundPayments(state)
  return state
}

function boundCases(state: CustomerState, dropped: DroppedCase[]): CustomerState {
  let openOver = -BOUNDS.openCases
  for (const { closedAt } of state.cases) if (closedAt === null) openOver += 1
  let closedOver = state.cases.length - openOver - BOUNDS.openCases - BOUNDS.closedCases
  let bound = state
  // The last one opened is the one that is not opened; of the closed ones the oldest goes.
  for (; openOver > 0; openOver--) {
    bound = withoutCase(bound, bound.cases.findLast(isOpen), dropped)
    bound = { ...bound, refused: { ...bound.refused, cases: (bound.refused?.cases ?? 0) + 1 } }
  }
  for (; closedOver > 0; closedOver--) bound = withoutCase(bound, firstClosed(bound.cases), dropped)
  return bound
}

const isOpen = ({ closedAt }: CaseState): boolean => closedAt === null

const firstClosed = (cases: readonly CaseState[]): CaseState | undefined =>
  cases.reduce<CaseState | undefined>((first, entry) => {
    if (entry.closedAt === null) return first
    if (first === undefined || first.closedAt === null) return entry
    const isEarlier = entry.closedAt === first.closedAt ? entry.id < first.id : entry.closedAt < first.closedAt
    return isEarlier ? entry : first
  }, undefined)

function withoutCase(state: CustomerState, entry: CaseState | undefined, dropped: DroppedCase[]): CustomerState {
  if (entry === undefined) return state
  dropped.push({ entry, payment: paymentOf(state, entry.invoiceId) })
  const rest = { ...state, cases: state.cases.filter((other) => other !== entry) }
  const subscription = subscriptionOf(state, entry.subscriptionId)
  if (entry.kind !== "cancellation" || entry.closedAt === null || subscription === undefined) return rest
  // Announcements are numbered by how many there were before.
  const counted = { ...subscription, droppedEpisodes: (subscription.droppedEpisodes ?? 0) + 1 }
  return { ...rest, subscriptions: withEntry(rest.subscriptions, subscription.id, counted) }
}

/** Payments of cases are kept for as long as their cases. */
function boundPayments(state: CustomerState): CustomerState {
  const most = state.cases.length + BOUNDS.barePayments + BOUNDS.barePaymentsSlack
  if (sizeOf(state.payments) <= most) return state
  const kept = new Set(state.cases.map(({ invoiceId }) => invoiceId))
  const bare = entriesWhere(state.payments, ({ invoiceId }) => !kept.has(invoiceId))
  const out = oldest(bare, BOUNDS.barePayments, ({ paidAt, failedAt, invoiceId }) => [paidAt ?? failedAt, invoiceId])
  return {
    ...state,
    payments: withoutEntries(
      state.payments,
      out.map(({ invoiceId }) => invoiceId),
    ),
  }
}

function boundSubscriptions(state: CustomerState, changedId: string): CustomerState {
  const changed = subscriptionOf(state, changedId)
  if (changed === undefined) return state
  if (changed.items.length > BOUNDS.items) {
    const items = changed.items.slice(0, BOUNDS.items)
    return boundSubscriptions(
      { ...state, subscriptions: withEntry(state.subscriptions, changedId, { ...changed, items }) },
      changedId,
    )
  }
  if (sizeOf(state.subscriptions) <= BOUNDS.subscriptions) return state

  if (markedIn(state.subscriptions, hasEnded) > 0) {
    const ended = entriesWhere(state.subscriptions, hasEnded)
    const kept = Math.max(0, ended.length - BOUNDS.subscriptionsSlack)
    const out = oldest(ended, kept, ({ endedAt, id }) => [endedAt, id]).map(({ id }) => id)
    return { ...state, subscriptions: withoutEntries(state.subscriptions, out) }
  }
  const refused = { ...state.refused, subscriptions: (state.refused?.subscriptions ?? 0) + 1 }
  return { ...state, refused, subscriptions: withoutEntries(state.subscriptions, [changedId]) }
}

/** Ended subscriptions are what the state drops first. */
export const hasEnded = ({ endedAt }: SubscriptionState): boolean => endedAt !== null

/** All but the newest `count`, by a time and then an id. */
function oldest<T>(entries: readonly T[], count: number, keyOf: (entry: T) => [Instant | null, string]): readonly T[] {
  const keyed = entries.map((entry) => {
    const [at, id] = keyOf(entry)
    return { key: `${at ?? ""}|${id}`, entry }
  })
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1))
  return keyed.slice(0, Math.max(0, entries.length - count)).map(({ entry }) => entry)
}
