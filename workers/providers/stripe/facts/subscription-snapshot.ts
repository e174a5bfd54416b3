/** Reads the subscription in an event, in all API versions. */
import * as z from "zod"
import type { SubscriptionItem, SubscriptionSnapshot, SubscriptionStatus } from "../../../../shared/domain/facts.ts"
import { endByOf, type StatedEnd } from "../../../../shared/domain/recovery/intent.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { at, currency, detail, id, idOf, instant, type JsonObject, minorUnits, orNull, read } from "../events/fields.ts"

/** Since 2020 an item has a `price`; `plan` is its older form. */
const price = z.lazy(() =>
  z.object({
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
  }),
)

const plan = z.lazy(() =>
  z.object({
    id: detail(id),
    currency: detail(currency),
    amount: detail(minorUnits),
    product: z.unknown().optional(),
    interval: detail(z.string()),
    interval_count: detail(z.int().positive()),
    usage_type: detail(z.string()),
  }),
)

/** None for metered prices; where it cannot be read, the value of the item is unknown. */
const quantity = orNull(z.union([z.int().nonnegative(), z.unknown().transform(() => "unreadable" as const)]))

const item = z.lazy(() =>
  z.object({
    price: detail(price),
    plan: detail(plan),
    quantity,
    current_period_end: detail(instant),
  }),
)

/** Stripe allows 20 items. */
const ITEMS_MAX = 100

/** Entries that are no items are left out. */
const items = z.lazy(() =>
  z.object({
    data: z.array(z.unknown()).transform((data) =>
      data.slice(0, ITEMS_MAX).flatMap((entry) => {
        const read = item.safeParse(entry)
        return read.success ? [read.data] : []
      }),
    ),
  }),
)

const subscription = z.lazy(() =>
  z.object({
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
  }),
)

type Subscription = z.output<typeof subscription>
type Item = z.output<typeof item>

/** The snapshot, or a sentence that names what is invalid in the object. */
export function snapshotOf(
  object: JsonObject,
  { isCreated = false, previous = {} }: { readonly isCreated?: boolean; readonly previous?: JsonObject } = {},
): Result<SubscriptionSnapshot, string> {
  const result = read(subscription, object)
  if (!result.ok) return err(result.error)
  const parsed = result.value
  const items = itemsOf(parsed)
  // Since basil each item has its own period. The first to end is the next renewal, the last is until when it is paid.
  const periodEnds = parsed.current_period_end === null ? items.flatMap(endsOf).sort() : [parsed.current_period_end]
  const cancelAt = parsed.cancel_at ?? (parsed.cancel_at_period_end === true ? (periodEnds.at(-1) ?? null) : null)
  const resumesAt = parsed.pause_collection?.resumes_at
  return ok({
    subscriptionId: parsed.id,
    status: STATUSES.find((status) => status === parsed.status) ?? "unknown",
    currency: parsed.currency ?? items.map(currencyOf).find((code) => code !== null) ?? null,
    items: items.map(readItem),
    startedAt: parsed.start_date ?? parsed.start ?? parsed.created,
    currentPeriodEnd: periodEnds[0] ?? null,
    trialEnd: parsed.trial_end,
    cancelAt,
    ...(cancelAt !== null && { endBy: endByOf(statedEndOf(object, { isCreated, previous })) }),
    endedAt: parsed.ended_at,
    paused: pauseOf(parsed, object),
    ...(resumesAt && { pauseEndsAt: resumesAt }),
  })
}

/** An end that is set within this time of the creation was part of it. */
const CREATION_SECONDS = 60

const PROVIDER_REASONS: readonly unknown[] = ["payment_failed", "payment_disputed", "canceled_by_retention_policy"]

/** What the subscription says about its end (docs/INTENT.md). */
function statedEndOf(
  object: JsonObject,
  { isCreated, previous }: { readonly isCreated: boolean; readonly previous: JsonObject },
): StatedEnd {
  const reason = at(object, "cancellation_details", "reason")
  const { created, canceled_at: requestedAt } = object
  const atPeriodEnd = object.cancel_at_period_end === true
  const isLater =
    typeof requestedAt === "number" && typeof created === "number" && requestedAt - created > CREATION_SECONDS
  const isSetAtCreation = typeof requestedAt === "number" && typeof created === "number" && !isLater && !atPeriodEnd
  return {
    atPeriodEnd,
    hasReasonOfMember:
      typeof at(object, "cancellation_details", "feedback") === "string" ||
      typeof at(object, "cancellation_details", "comment") === "string",
    // Before 2023 there were no details: then an end that was not set at the creation was requested later.
    isRequested: reason === "cancellation_requested" || object.cancellation_details === undefined,
    byProvider: PROVIDER_REASONS.includes(reason),
    bySchedule: idOf(object.schedule) !== null && !atPeriodEnd,
    sinceCreation: isCreated || isSetAtCreation,
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

/** Old subscriptions have one plan and no items. */
function itemsOf(subscription: Subscription): readonly Item[] {
  const items = subscription.items?.data ?? []
  if (items.length > 0 || subscription.plan === null) return items
  return [{ price: null, plan: subscription.plan, quantity: subscription.quantity, current_period_end: null }]
}

const currencyOf = ({ price, plan }: Item): string | null => price?.currency ?? plan?.currency ?? null
const endsOf = ({ current_period_end: end }: Item): string[] => (end === null ? [] : [end])

/** Tiered prices and fractions of a minor unit have no `unit_amount`: then the amount is unknown. */
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

/** Pauses that were requested, by `status_details.paused.subscription.type` (2026-09-30.endive). */
const REQUESTED_PAUSES = ["pause_requested", "system"]

/**
 * Before Stripe could pause for failures, a paused status was only that of a trial that ended without a payment method; both
 * are pauses because a payment could not be collected.
 */
function pauseOf(subscription: Subscription, object: JsonObject): SubscriptionSnapshot["paused"] {
  if (subscription.status === "paused") {
    const type = at(object, "status_details", "paused", "subscription", "type")
    return typeof type === "string" && REQUESTED_PAUSES.includes(type) ? "requested" : "payment_failure"
  }
  return subscription.pause_collection === null ? null : "requested"
}
