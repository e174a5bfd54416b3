/**
 * Comparing what a provider says with what we know: which times to look at, when two tellings are of the same thing, and in
 * what a subscription differs.
 */
import type { Fact, FactBody, Instant, SubscriptionItem } from "../facts.ts"
import { fold } from "../recovery/fold.ts"
import { type CustomerState, type SubscriptionState, subscriptionOf } from "../state.ts"

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** A webhook under way needs a moment: Whop tries for 70 seconds, and what was parked comes back within seconds more. */
export const DELIVERY_GRACE_MS = 2 * MINUTE_MS

/** Lists may show an event a little later than its time says; this much is looked at again. */
const OVERLAP_MS = 60 * MINUTE_MS

/** Where nothing was compared yet, the recent past is this long; the rest is the full pass's. */
const RECENT_MS = DAY_MS

/** How far a full pass goes where the provider's list has no end. */
const FULL_DAYS = 30

/** The time that a pass looks at, and what it should have looked at and cannot any more. */
export interface Window {
  readonly from: Instant
  readonly until: Instant
  readonly gap: { readonly from: Instant; readonly to: Instant } | null
}

/** From where the last pass ended until now; what the provider's list no longer reaches is a gap. */
export function recentWindow(completeUntil: Instant | null, now: Instant, listDays: number | null): Window {
  const wished =
    completeUntil === null
      ? Date.parse(now) - RECENT_MS
      : Math.min(Date.parse(completeUntil), Date.parse(now)) - OVERLAP_MS
  // The overlap is a second look; that it is out of reach is no loss.
  const lossFrom = completeUntil === null ? wished : Date.parse(completeUntil)
  return within(wished, lossFrom, now, listDays)
}

/** From `since`, or from the beginning of the provider's list, until now. */
export function fullWindow(since: Instant | null, now: Instant, listDays: number | null): Window {
  const wished = since === null ? Date.parse(now) - (listDays ?? FULL_DAYS) * DAY_MS : Date.parse(since)
  return within(wished, wished, now, listDays)
}

function within(wished: number, lossFrom: number, now: Instant, listDays: number | null): Window {
  const begin = listDays === null ? Number.NEGATIVE_INFINITY : Date.parse(now) - listDays * DAY_MS
  const from = new Date(Math.max(wished, begin)).toISOString()
  const gap = lossFrom < begin ? { from: new Date(lossFrom).toISOString(), to: new Date(begin).toISOString() } : null
  return { from, until: now, gap }
}

/**
 * What two tellings of the same happening share beside their kind: a part of the fact's body. Null for facts that say
 * nothing of their own.
 */
export function duplicateKeyOf(fact: FactBody): Readonly<Record<string, string | number | null>> | null {
  switch (fact.kind) {
    case "payment_failed":
      return { invoiceId: fact.invoiceId, attempt: fact.attempt }
    case "payment_refunded":
      return { invoiceId: fact.invoiceId, amountMinor: fact.amountMinor }
    case "payment_succeeded":
    case "invoice_voided":
    case "invoice_uncollectible":
      return { invoiceId: fact.invoiceId }
    case "dispute_opened":
      return { disputeId: fact.disputeId }
    case "dispute_closed":
      return { disputeId: fact.disputeId, outcome: fact.outcome }
    default:
      return null
  }
}

/** One field in which the provider says something else than we have. Ids, codes, times and numbers only. */
export interface Difference {
  readonly subscriptionId: string
  readonly field: string
  readonly ours: string | null
  readonly theirs: string | null
}

/** Whether we take this subscription for ended. */
export const hasEnded = (state: CustomerState, subscriptionId: string): boolean =>
  (subscriptionOf(state, subscriptionId)?.endedAt ?? null) !== null

/**
 * In what the subscription of these facts differs from what it would be with them. Where the provider says nothing, or what
 * cannot change any more, there is no difference; so that folding the facts always leaves none.
 */
export function subscriptionDifferences(
  state: CustomerState,
  subscriptionId: string,
  facts: readonly Fact[],
): readonly Difference[] {
  const ours = subscriptionOf(state, subscriptionId)
  const theirs = subscriptionOf(fold(facts, state), subscriptionId)
  if (theirs === undefined) return []
  const at = facts.at(-1)?.occurredAt ?? null
  const shown = fieldsOf(theirs)
  const known = ours === undefined ? {} : fieldsOf(ours)
  return Object.entries(shown).flatMap(([field, value]) => {
    const own = known[field] ?? null
    // A time that is the moment of reading was not said; only that there is one.
    const isSame = own === value || (own !== null && value !== null && (field === "endedAt" || value === at))
    return isSame ? [] : [{ subscriptionId, field, ours: own, theirs: value }]
  })
}

const fieldsOf = (subscription: SubscriptionState): Record<string, string | null> => ({
  status: subscription.status,
  currency: subscription.currency,
  items: subscription.items.map(itemText).sort().join(" "),
  startedAt: subscription.startedAt,
  currentPeriodEnd: subscription.currentPeriodEnd,
  trialEnd: subscription.trialEnd,
  cancelAt: subscription.cancelAt,
  endedAt: subscription.endedAt,
  paused: subscription.paused,
})

/** `2×price_1@1999/1month`: price, quantity, amount and period; `?` for what is not known. */
const itemText = ({
  priceId,
  quantity,
  unitAmountMinor,
  interval,
  intervalCount,
  usageType,
}: SubscriptionItem): string =>
  `${quantity}×${priceId ?? "?"}@${unitAmountMinor ?? "?"}/${intervalCount}${interval ?? "?"}${usageType === "metered" ? " metered" : ""}`

/** What happened so recently is told even when we had not begun to listen yet: it still matters to the member. */
const ALWAYS_LIVE_MS = 3 * 86_400_000

/**
 * The moment before which what a provider's list tells is history to us: from before the first word that we ever had of the
 * company and not of the last days, or of a time that was imported.
 */
export function historyCutoff(
  { beganAt, importedUntil }: { readonly beganAt: Date | null; readonly importedUntil: Date | null },
  now: Date,
): Instant {
  const unheard = Math.min((beganAt ?? now).getTime(), now.getTime() - ALWAYS_LIVE_MS)
  return new Date(Math.max(unheard, importedUntil?.getTime() ?? unheard)).toISOString()
}
