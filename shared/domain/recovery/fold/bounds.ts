/**
 * How much of one customer the state holds, so that processing a customer with any number of facts has a bounded cost. The
 * ledger keeps everything. What the state drops depends only on the order of the ledger, not on how the facts were batched:
 * the bounds apply after every fact.
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

/** The bounds per customer. `docs/OPERATIONS.md` describes what happens beyond them. */
export const BOUNDS = {
  /** Open cases. Beyond it no case is opened; `refused.cases` counts how often. */
  openCases: 100,
  /** Closed cases, the newest by closing time: a dispute or refund of an older one no longer changes it. */
  closedCases: 100,
  /** Payments without a case, the newest: five years of monthly bills. */
  barePayments: 60,
  /** Payments over the bound that are dropped together, so that the search for them costs little per fact. */
  barePaymentsSlack: 30,
  /**
   * Subscriptions. Those that ended first are dropped for new ones; if none has ended, a new one is not added, and
   * `refused.subscriptions` counts how often.
   */
  subscriptions: 200,
  /** Ended subscriptions that are dropped together. */
  subscriptionsSlack: 30,
  /**
   * Credit notes, part payments, refunds and disputes of one invoice, of each: beyond it, their own events are ignored. The totals
   * that the invoice and its charge state still count.
   */
  partsOfInvoice: 100,
  /** Prices of one subscription; Stripe allows twenty. */
  items: 20,
} as const

/** A case that a fold dropped from the state. */
export interface DroppedCase {
  readonly entry: CaseState
  readonly payment: PaymentState | undefined
}

/**
 * Of the cases that a fold dropped, those that the stored state (`projected`) had not dropped already: those closed before
 * every case that it holds at its bound. Each once, as it was last.
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

/** The state after `fact`, within the bounds. Cases that it drops are added to `dropped`. */
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
  // Of the open cases the newest is dropped, of the closed ones the oldest.
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
  // Cancellation cases are numbered by their count.
  const counted = { ...subscription, droppedEpisodes: (subscription.droppedEpisodes ?? 0) + 1 }
  return { ...rest, subscriptions: withEntry(rest.subscriptions, subscription.id, counted) }
}

/** Payments of cases are kept as long as their cases. */
function boundPayments(state: CustomerState): CustomerState {
  const most = state.cases.length + BOUNDS.barePayments + BOUNDS.barePaymentsSlack
  if (sizeOf(state.payments) <= most) return state
  const kept = new Set(state.cases.map(({ invoiceId }) => invoiceId))
  const bare = entriesWhere(state.payments, ({ invoiceId }) => !kept.has(invoiceId))
  const excess = oldest(bare, BOUNDS.barePayments, ({ paidAt, failedAt, invoiceId }) => [paidAt ?? failedAt, invoiceId])
  return {
    ...state,
    payments: withoutEntries(
      state.payments,
      excess.map(({ invoiceId }) => invoiceId),
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
    const excess = oldest(ended, kept, ({ endedAt, id }) => [endedAt, id]).map(({ id }) => id)
    return { ...state, subscriptions: withoutEntries(state.subscriptions, excess) }
  }
  const refused = { ...state.refused, subscriptions: (state.refused?.subscriptions ?? 0) + 1 }
  return { ...state, refused, subscriptions: withoutEntries(state.subscriptions, [changedId]) }
}

/** Ended subscriptions are dropped first. */
export const hasEnded = ({ endedAt }: SubscriptionState): boolean => endedAt !== null

/** All but the newest `count`, by time and then id. */
function oldest<T>(entries: readonly T[], count: number, keyOf: (entry: T) => [Instant | null, string]): readonly T[] {
  const keyed = entries.map((entry) => {
    const [at, id] = keyOf(entry)
    return { key: `${at ?? ""}|${id}`, entry }
  })
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1))
  return keyed.slice(0, Math.max(0, entries.length - count)).map(({ entry }) => entry)
}
