/**
 * Comparing a provider's lists with our records: which time to compare, when two facts report the same occurrence, and how
 * a subscription differs.
 */
import type { Fact, FactBody, Instant, SubscriptionItem } from "../facts.ts"
import { fold } from "../recovery/fold.ts"
import { type CustomerState, type SubscriptionState, subscriptionOf } from "../state.ts"

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Webhooks may still be in delivery: Whop retries for 70 seconds, and the fallback queue adds some seconds. */
export const DELIVERY_GRACE_MS = 2 * MINUTE_MS

/** Lists may show an event a little after its time; this much is compared again. */
const OVERLAP_MS = 60 * MINUTE_MS

/** The length of the first recent pass; the full pass covers what came before. */
const RECENT_MS = DAY_MS

/** How far back a full pass goes where the provider's list has no bound. */
const FULL_DAYS = 30

/** The time that a pass compares. `gap`: the part of it that the provider's list no longer reaches. */
export interface Window {
  readonly from: Instant
  readonly until: Instant
  readonly gap: { readonly from: Instant; readonly to: Instant } | null
}

/** From where the last pass ended until now; what the provider's list no longer reaches is a gap. */
export function recentWindow(completeUntil: Instant | null, now: Instant, listDays: number | null): Window {
  const wantedMs =
    completeUntil === null
      ? Date.parse(now) - RECENT_MS
      : Math.min(Date.parse(completeUntil), Date.parse(now)) - OVERLAP_MS
  // The overlap was compared before, so it is no gap where the list does not reach it.
  const gapFromMs = completeUntil === null ? wantedMs : Date.parse(completeUntil)
  return windowInList(wantedMs, gapFromMs, now, listDays)
}

/** From `since`, or from the beginning of the provider's list, until now. */
export function fullWindow(since: Instant | null, now: Instant, listDays: number | null): Window {
  const wantedMs = since === null ? Date.parse(now) - (listDays ?? FULL_DAYS) * DAY_MS : Date.parse(since)
  return windowInList(wantedMs, wantedMs, now, listDays)
}

function windowInList(wantedMs: number, gapFromMs: number, now: Instant, listDays: number | null): Window {
  const listMs = listDays === null ? Number.NEGATIVE_INFINITY : Date.parse(now) - listDays * DAY_MS
  const from = new Date(Math.max(wantedMs, listMs)).toISOString()
  const gap =
    gapFromMs < listMs ? { from: new Date(gapFromMs).toISOString(), to: new Date(listMs).toISOString() } : null
  return { from, until: now, gap }
}

/**
 * The part of a fact's body that, with its kind, identifies what it reports: facts that share both are duplicates. Null for
 * facts that have no such part.
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

/** A field whose value at the provider differs from ours. Ids, codes, times and numbers only. */
export interface Difference {
  readonly subscriptionId: string
  readonly field: string
  readonly ours: string | null
  readonly theirs: string | null
}

/** Whether this subscription has ended in our state. */
export const hasEnded = (state: CustomerState, subscriptionId: string): boolean =>
  (subscriptionOf(state, subscriptionId)?.endedAt ?? null) !== null

/**
 * The fields of the subscription that folding these facts would change. Values that the provider leaves out, or that can no
 * longer change, are no difference; so folding the facts always leaves none.
 */
export function subscriptionDifferences(
  state: CustomerState,
  subscriptionId: string,
  facts: readonly Fact[],
): readonly Difference[] {
  const ours = subscriptionOf(state, subscriptionId)
  const theirs = subscriptionOf(fold(facts, state), subscriptionId)
  if (theirs === undefined) return []
  const readAt = facts.at(-1)?.occurredAt
  const ourFields = ours === undefined ? {} : fieldsOf(ours)
  return Object.entries(fieldsOf(theirs)).flatMap(([field, value]) => {
    const own = ourFields[field] ?? null
    // The time of reading stands for a time that the provider does not give; only that there is one is compared.
    const isSame = own === value || (own !== null && value !== null && (field === "endedAt" || value === readAt))
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

/** `2×price_1@1999/1month`: quantity, price, amount and period; `?` where one is unknown. */
const itemText = ({
  priceId,
  quantity,
  unitAmountMinor,
  interval,
  intervalCount,
  usageType,
}: SubscriptionItem): string =>
  `${quantity}×${priceId ?? "?"}@${unitAmountMinor ?? "?"}/${intervalCount}${interval ?? "?"}${usageType === "metered" ? " metered" : ""}`

/** What happened this recently is live even when it precedes the company's first event: it still matters to the member. */
const ALWAYS_LIVE_MS = 3 * 86_400_000

/**
 * Listed events before this time are history: they precede both the company's first event and the last three days, or are
 * of a time that was imported.
 */
export function historyCutoff(
  { beganAt, importedUntil }: { readonly beganAt: Date | null; readonly importedUntil: Date | null },
  now: Date,
): Instant {
  const liveFromMs = Math.min((beganAt ?? now).getTime(), now.getTime() - ALWAYS_LIVE_MS)
  return new Date(Math.max(liveFromMs, importedUntil?.getTime() ?? liveFromMs)).toISOString()
}
