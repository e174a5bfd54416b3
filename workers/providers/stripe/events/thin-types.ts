/**
 * Thin events of v1 objects (since 2026-09-30.endive) and the snapshot events of the same changes. Most types differ by the
 * prefix only; some are finer: several of them stand for one `customer.subscription.updated`.
 */
const PREFIX = "v1."

/** Thin types for changes of a subscription (stripe 23.1.0, V2/Core/Events.d.ts). */
const SUBSCRIPTION_CHANGES: ReadonlySet<string> = new Set(
  [
    "active",
    "cancel_at_changed",
    "default_payment_method_changed",
    "incomplete",
    "incomplete_expired",
    "item_added",
    "item_price_changed",
    "item_quantity_changed",
    "item_removed",
    "item_tax_rates_changed",
    "past_due",
    "trialing",
    "unpaid",
  ].map((name) => `customer.subscription.${name}`),
)

/** The snapshot type that a thin type is read as; null when it is not of a v1 object. */
export function snapshotTypeOf(thinType: string): string | null {
  if (!thinType.startsWith(PREFIX)) return null
  const type = thinType.slice(PREFIX.length)
  return SUBSCRIPTION_CHANGES.has(type) ? "customer.subscription.updated" : type
}

/** Whether a snapshot event of this type can be of the same change as this thin event. */
export const isSnapshotType = (thinType: string, type: string): boolean =>
  type === thinType.slice(PREFIX.length) || type === snapshotTypeOf(thinType)
