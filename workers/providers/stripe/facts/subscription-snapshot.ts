/** A subscription as an event shows it, in all API versions. */
import * as z from "zod"
import type { SubscriptionItem, SubscriptionSnapshot, SubscriptionStatus } from "../../../../shared/domain/facts.ts"
import { endByOf, type StatedEnd } from "../../../../shared/domain/recovery/intent.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { at, currency, detail, id, idOf, instant, type JsonObject, minorUnits, orNull, read } from "./fields.ts"

/** Since 2020 an item has a `price`; `plan` is the same in older words. */
const price = z.object({
  id: detail(id),
  currency: detail(currency),
  unit_amount: detail(minorUnits),
  product: z.unknown().optional(),
  recurring: detail(
    z.object({
      interval: detail(z.string()),
      interval_count: detail(z.int().positive()),
      usage_type: detail(z.string()),
    }),
  ),
})

const plan = z.object({
  id: detail(id),
  currency: detail(currency),
  amount: detail(minorUnits),
  product: z.unknown().optional(),
  interval: detail(z.string()),
  interval_count: detail(z.int().positive()),
  usage_type: detail(z.string()),
})

/** None for metered prices; with one that cannot be read, the worth of the item is not known. */
const quantity = orNull(z.union([z.int().nonnegative(), z.unknown().transform(() => "unreadable" as const)]))

const item = z.object({
  price: detail(price),
  plan: detail(plan),
  quantity,
  current_period_end: detail(instant),
})

/** Stripe allows 20 items. */
const ITEMS_MAX = 100

/** What is no item is left out. */
const items = z.object({
  data: z.array(z.unknown()).transform((data) =>
    data.slice(0, ITEMS_MAX).flatMap((entry) => {
      const read = item.safeParse(entry)
      return read.success ? [read.data] : []
    }),
  ),
})

const subscription = z.object({
  object: z.literal("subscription"),
  id,
  status: detail(z.string()),
  currency: detail(currency),
  items: detail(items),
  plan: detail(plan),
  quantity,
  start_date: detail(instant),
  start: detail(instant),
  created: detail(instant),
  current_period_end: detail(instant),
  trial_end: detail(instant),
  cancel_at: detail(instant),
  cancel_at_period_end: detail(z.boolean()),
  ended_at: detail(instant),
  pause_collection: detail(z.looseObject({ resumes_at: detail(instant) })),
})

type Subscription = z.output<typeof subscription>
type Item = z.output<typeof item>

/** The snapshot, or what is wrong with the object in one plain sentence. */
export function snapshotOf(
  object: JsonObject,
  { isCreated = false, previous = {} }: { readonly isCreated?: boolean; readonly previous?: JsonObject } = {},
): Result<SubscriptionSnapshot, string> {
  const result = read(subscription, object)
  if (!result.ok) return err(result.error)
  const seen = result.value
  const items = itemsOf(seen)
  // Since basil each item has its own period. The first to end is the next renewal, the last is how far it is paid.
  const periodEnds = seen.current_period_end === null ? items.flatMap(endsOf).sort() : [seen.current_period_end]
  const cancelAt = seen.cancel_at ?? (seen.cancel_at_period_end === true ? (periodEnds.at(-1) ?? null) : null)
  const resumesAt = seen.pause_collection?.resumes_at
  return ok({
    subscriptionId: seen.id,
    status: STATUSES.find((status) => status === seen.status) ?? "unknown",
    currency: seen.currency ?? items.map(currencyOf).find((code) => code !== null) ?? null,
    items: items.map(readItem),
    startedAt: seen.start_date ?? seen.start ?? seen.created,
    currentPeriodEnd: periodEnds[0] ?? null,
    trialEnd: seen.trial_end,
    cancelAt,
    ...(cancelAt !== null && { endBy: endByOf(statedEndOf(object, { isCreated, previous })) }),
    endedAt: seen.ended_at,
    paused: pauseOf(seen, object),
    ...(resumesAt && { pauseEndsAt: resumesAt }),
  })
}

/** An end that is set so soon after the creation came with it. */
const CREATION_SECONDS = 60

const PROVIDER_REASONS: readonly unknown[] = ["payment_failed", "payment_disputed", "canceled_by_retention_policy"]

/** What the subscription states of its end (docs/INTENT.md). */
function statedEndOf(
  object: JsonObject,
  { isCreated, previous }: { readonly isCreated: boolean; readonly previous: JsonObject },
): StatedEnd {
  const reason = at(object, "cancellation_details", "reason")
  const { created, canceled_at: requestedAt } = object
  const atPeriodEnd = object.cancel_at_period_end === true
  const isLater =
    typeof requestedAt === "number" && typeof created === "number" && requestedAt - created > CREATION_SECONDS
  const cameWithCreation = typeof requestedAt === "number" && typeof created === "number" && !isLater && !atPeriodEnd
  return {
    atPeriodEnd,
    hasReasonOfMember:
      typeof at(object, "cancellation_details", "feedback") === "string" ||
      typeof at(object, "cancellation_details", "comment") === "string",
    // Before 2023 there were no details: then an end that did not come with the creation was asked for later.
    isRequested: reason === "cancellation_requested" || object.cancellation_details === undefined,
    byProvider: PROVIDER_REASONS.includes(reason),
    bySchedule: idOf(object.schedule) !== null && !atPeriodEnd,
    sinceCreation: isCreated || cameWithCreation,
    isExtension: extendsTerm(object, previous),
    isSwitch: false,
    isUnrequested: false,
  }
}

/** Whether the event moves the end of an agreed term to a later day. */
function extendsTerm(object: JsonObject, previous: JsonObject): boolean {
  const isLater =
    typeof previous.cancel_at === "number" &&
    typeof object.cancel_at === "number" &&
    previous.cancel_at < object.cancel_at
  if (!isLater || object.cancel_at_period_end === true || previous.cancel_at_period_end === true) return false
  const before = { ...object, ...previous }
  return endByOf(statedEndOf(before, { isCreated: false, previous: {} })) === "other"
}

const STATUSES: readonly SubscriptionStatus[] = [
  "incomplete",
  "incomplete_expired",
  "trialing",
  "active",
  "past_due",
  "paused",
  "unpaid",
  "canceled",
]

/** Before items were usual, a subscription was its one plan. */
function itemsOf(seen: Subscription): readonly Item[] {
  const items = seen.items?.data ?? []
  if (items.length > 0 || seen.plan === null) return items
  return [{ price: null, plan: seen.plan, quantity: seen.quantity, current_period_end: null }]
}

const currencyOf = ({ price, plan }: Item): string | null => price?.currency ?? plan?.currency ?? null
const endsOf = ({ current_period_end: end }: Item): string[] => (end === null ? [] : [end])

/** Tiered prices and fractions of a minor unit have no `unit_amount`: then the amount is not known here. */
function readItem({ price, plan, quantity }: Item): SubscriptionItem {
  const recurring = price?.recurring ?? plan
  return {
    priceId: price?.id ?? plan?.id ?? null,
    productId: idOf(price?.product) ?? idOf(plan?.product),
    unitAmountMinor: quantity === "unreadable" ? null : price === null ? (plan?.amount ?? null) : price.unit_amount,
    quantity: typeof quantity === "number" ? quantity : 1, // metered items have none
    interval: INTERVALS.find((interval) => interval === recurring?.interval) ?? null,
    intervalCount: recurring?.interval_count ?? 1,
    usageType: recurring?.usage_type === "metered" ? "metered" : "licensed",
  }
}

const INTERVALS = ["day", "week", "month", "year"] as const

/** Pauses that somebody chose, as `status_details.paused.subscription.type` says it (2026-09-30.endive). */
const CHOSEN_PAUSES = ["pause_requested", "system"]

/**
 * A paused status came only from a trial that ended without a payment method before Stripe could pause for failures; both
 * are pauses because it could not collect.
 */
function pauseOf(seen: Subscription, object: JsonObject): SubscriptionSnapshot["paused"] {
  if (seen.status === "paused") {
    const type = at(object, "status_details", "paused", "subscription", "type")
    return typeof type === "string" && CHOSEN_PAUSES.includes(type) ? "requested" : "payment_failure"
  }
  return seen.pause_collection === null ? null : "requested"
}
