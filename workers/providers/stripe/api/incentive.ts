/**
 * Incentives at Stripe, applied once per idempotency key for good: Stripe drops a key after a day or so, so the subscription
 * itself is checked first.
 */
import type Stripe from "stripe"
import { sha256, toHex, utf8 } from "../../../../shared/crypto/bytes.ts"
import type { ProviderApi } from "../../../../shared/provider.ts"
import { at, idOf } from "../events/fields.ts"
import { apiErrorOf, callStripe, type DiscountIncentive, type FreeDaysIncentive, isStripeError } from "./client.ts"

type Request = Parameters<ProviderApi["applyIncentive"]>[0]
type Receipt = Awaited<ReturnType<ProviderApi["applyIncentive"]>>

const DAY_SECONDS = 86_400

/** Applies the incentive to the subscription; the receipt is the id of the discount, or of the subscription for free days. */
export async function applyIncentive(stripe: Stripe, request: Request): Promise<Receipt> {
  const mark = await markOf(request.idempotencyKey)
  const subscription = await callStripe("reading the subscription", () =>
    stripe.subscriptions.retrieve(request.subscriptionId, { expand: ["discounts"] }),
  )
  const isTheirs = subscription.id === request.subscriptionId && customerOf(subscription) === request.customer
  if (!isTheirs) throw apiErrorOf("the subscription belongs to another customer")
  return request.incentive.kind === "discount"
    ? applyDiscount(stripe, { ...request, incentive: request.incentive, mark, subscription })
    : applyFreeDays(stripe, { ...request, incentive: request.incentive, mark, subscription })
}

interface Task<I> extends Omit<Request, "incentive"> {
  readonly incentive: I
  readonly mark: string
  readonly subscription: Stripe.Subscription
}

/** A coupon of its own, added to the existing discounts: an update replaces the whole list. */
async function applyDiscount(stripe: Stripe, task: Task<DiscountIncentive>): Promise<Receipt> {
  const { incentive, mark: coupon, subscription, idempotencyKey } = task
  const applied = discountOf(subscription, coupon)
  if (applied !== null) return { receiptId: applied }
  if (subscription.status === "canceled" || subscription.status === "incomplete_expired") {
    throw apiErrorOf("the subscription has ended, there is nothing to discount")
  }

  await createCoupon(stripe, coupon, incentive, idempotencyKey)
  const existing = subscription.discounts.map(idOf).filter((id) => id !== null)
  const updated = await callStripe("adding the discount", () =>
    stripe.subscriptions.update(
      subscription.id,
      { discounts: [...existing.map((discount) => ({ discount })), { coupon }], expand: ["discounts"] },
      { idempotencyKey: `${idempotencyKey}:discount` },
    ),
  )
  return { receiptId: discountOf(updated, coupon) ?? coupon }
}

async function createCoupon(stripe: Stripe, id: string, { percentOff, months }: DiscountIncentive, key: string) {
  await callStripe("creating the coupon", async () => {
    try {
      const name = `${percentOff}% off` // members read it on the invoice
      await stripe.coupons.create(
        { id, name, percent_off: percentOff, duration: "repeating", duration_in_months: months, max_redemptions: 1 },
        { idempotencyKey: `${key}:coupon` },
      )
    } catch (error) {
      if (!isStripeError(error, "resource_already_exists")) throw error // created by an earlier attempt of ours
    }
  })
}

/**
 * Stripe has no free days; a trial moves the next payment. Only where nothing is owed and all items renew on one date: a
 * trial would leave an open invoice open, and would move all items to one date.
 */
async function applyFreeDays(stripe: Stripe, task: Task<FreeDaysIncentive>): Promise<Receipt> {
  const { incentive, mark, subscription, idempotencyKey } = task
  if (subscription.metadata[mark] !== undefined) return { receiptId: subscription.id }
  if (subscription.status !== "active" && subscription.status !== "trialing") {
    throw apiErrorOf("free days need a subscription that is active or in its trial")
  }
  const ends = new Set(subscription.items.data.map((item) => item.current_period_end))
  const [end] = ends
  if (end === undefined || ends.size > 1)
    throw apiErrorOf("free days need one period for all items of the subscription")

  await callStripe("adding free days", () =>
    stripe.subscriptions.update(
      subscription.id,
      {
        trial_end: Math.max(end, subscription.trial_end ?? 0) + incentive.days * DAY_SECONDS,
        proration_behavior: "none",
        metadata: { [mark]: `${incentive.days} free days` },
      },
      { idempotencyKey: `${idempotencyKey}:free-days` },
    ),
  )
  return { receiptId: subscription.id }
}

const customerOf = (subscription: Stripe.Subscription): string | null =>
  idOf(subscription.customer) ?? subscription.customer_account

/** The discount made by the coupon; since 2025-09-30 (clover) a discount names it in `source`. */
function discountOf(subscription: Stripe.Subscription, coupon: string): string | null {
  const discount = subscription.discounts.find((candidate) => idOf(at(candidate, "source", "coupon")) === coupon)
  return idOf(discount)
}

/** A name for this incentive that fits a coupon id and a metadata key (40 characters) and reveals nothing. */
const markOf = async (idempotencyKey: string): Promise<string> =>
  `saver_${toHex(await sha256(utf8(idempotencyKey))).slice(0, 32)}`
