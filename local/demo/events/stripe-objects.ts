/**
 * Stripe's webhook objects in two API versions. Changes in 2025-03-31 (basil): invoices have no `subscription`,
 * `charge` and `payment_intent`, payments have no `invoice`, and the period moved from subscriptions to their items.
 */

import type { Decline, Member } from "../members.ts"
import { type Bill, type Membership, secondsOf } from "./event-builder.ts"

export type Fields = Readonly<Record<string, unknown>>

const isBasil = ({ stripeVersion }: Member): boolean => stripeVersion >= "2025-03-31"
const unix = (date: Date | null): number | null => (date === null ? null : secondsOf(date))
const list = (data: readonly unknown[]) => ({ object: "list", data, has_more: false })

/** The ids of one bill; each attempt is a separate charge. */
const partsOf = ({ id, attempts }: Bill) => {
  const stem = id.replace(/^in_/, "")
  return { paymentIntent: `pi_${stem}`, charge: `ch_${stem}_${attempts}` }
}

export const customer = (member: Member, created: Date): Fields => ({
  id: member.customerId,
  object: "customer",
  created: secondsOf(created),
  email: member.email,
  name: member.name,
  phone: member.phone,
  metadata: member.timeZone === null ? {} : { timezone: member.timeZone },
  preferred_locales: member.locale === null ? [] : [member.locale],
  livemode: false,
})

export function subscription({ member, ...membership }: Membership, more: Fields = {}): Fields {
  const { price } = member
  const period = {
    current_period_start: secondsOf(membership.periodStart),
    current_period_end: secondsOf(membership.periodEnd),
  }
  const product = "prod_member"
  const recurring = { interval: price.interval, interval_count: 1, usage_type: "licensed" }
  const item = {
    id: member.subscriptionId.replace("sub_", "si_"),
    object: "subscription_item",
    price: {
      ...{ id: price.id, object: "price", currency: price.currency, product, recurring, type: "recurring" },
      unit_amount: price.amountMinor,
      unit_amount_decimal: String(price.amountMinor),
    },
    quantity: 1,
    ...(isBasil(member) ? period : {}),
  }
  return {
    id: member.subscriptionId,
    object: "subscription",
    customer: member.customerId,
    status: membership.status,
    currency: price.currency,
    ...(isBasil(member) ? { billing_mode: { type: "flexible" }, discounts: [] } : period),
    cancel_at: unix(membership.cancelAt),
    cancel_at_period_end: membership.cancelAt !== null,
    canceled_at: null,
    collection_method: "charge_automatically",
    created: secondsOf(membership.startedAt),
    ended_at: null,
    items: list([item]),
    livemode: false,
    metadata: {},
    pause_collection: null,
    start_date: secondsOf(membership.startedAt),
    trial_end: unix(membership.trialEnd),
    ...more,
  }
}

export function invoice(bill: Bill, more: Fields = {}): Fields {
  const { membership, amountMinor } = bill
  const { member } = membership
  const { subscriptionId, customerId } = member
  const { charge, paymentIntent } = partsOf(bill)
  const isPaid = bill.status === "paid"
  const line = {
    id: bill.id.replace("in_", "il_"),
    object: "line_item",
    amount: amountMinor,
    currency: member.price.currency,
    period: { start: secondsOf(membership.periodStart), end: secondsOf(membership.periodEnd) },
  }
  const links = isBasil(member)
    ? {
        lines: list([
          {
            ...line,
            parent: { type: "subscription_item_details", subscription_item_details: { subscription: subscriptionId } },
            pricing: { type: "price_details", price_details: { price: member.price.id, product: "prod_member" } },
          },
        ]),
        parent: { type: "subscription_details", subscription_details: { subscription: subscriptionId, metadata: {} } },
      }
    : {
        lines: list([{ ...line, type: "subscription", subscription: subscriptionId }]),
        subscription: subscriptionId,
        ...(amountMinor === 0 ? { charge: null, payment_intent: null } : { charge, payment_intent: paymentIntent }),
        paid: isPaid,
        paid_out_of_band: false,
      }
  return {
    id: bill.id,
    object: "invoice",
    customer: customerId,
    customer_email: member.email,
    customer_name: member.name,
    customer_phone: member.phone,
    currency: member.price.currency,
    amount_due: amountMinor,
    amount_paid: isPaid ? amountMinor : 0,
    amount_remaining: isPaid ? 0 : amountMinor,
    attempt_count: bill.attempts,
    attempted: bill.attempts > 0,
    billing_reason: bill.isFirst ? "subscription_create" : "subscription_cycle",
    collection_method: "charge_automatically",
    created: secondsOf(bill.createdAt),
    hosted_invoice_url: `https://invoice.stripe.com/i/acct_demo/${bill.id}`,
    livemode: false,
    next_payment_attempt: null,
    status: isPaid ? "paid" : "open",
    ...links,
    ...more,
  }
}

/** The charge of the bill's last attempt; successful without a decline. */
export function charge(bill: Bill, decline: Decline | null): Fields {
  const { member } = bill.membership
  const ids = partsOf(bill)
  const isPaid = decline === null
  return {
    id: ids.charge,
    object: "charge",
    amount: bill.amountMinor,
    amount_captured: isPaid ? bill.amountMinor : 0,
    amount_refunded: 0,
    captured: isPaid,
    currency: member.price.currency,
    customer: member.customerId,
    paid: isPaid,
    payment_intent: ids.paymentIntent,
    ...(isBasil(member) ? {} : { invoice: bill.id }),
    status: isPaid ? "succeeded" : "failed",
    failure_code: decline === null ? null : "card_declined",
    failure_message: decline?.message ?? null,
    outcome:
      decline === null
        ? { type: "authorized", reason: null, network_status: "approved_by_network" }
        : { type: "issuer_declined", reason: decline.code, network_status: "declined_by_network" },
    livemode: false,
  }
}

export function paymentIntent(bill: Bill, decline: Decline | null): Fields {
  const { member } = bill.membership
  const ids = partsOf(bill)
  return {
    id: ids.paymentIntent,
    object: "payment_intent",
    amount: bill.amountMinor,
    amount_received: decline === null ? bill.amountMinor : 0,
    currency: member.price.currency,
    customer: member.customerId,
    ...(isBasil(member) ? { latest_charge: ids.charge } : { invoice: bill.id, charges: list([charge(bill, decline)]) }),
    last_payment_error:
      decline === null
        ? null
        : { type: "card_error", code: "card_declined", charge: ids.charge, decline_code: decline.code },
    status: decline === null ? "succeeded" : "requires_payment_method",
    livemode: false,
  }
}

/** Links a payment to its invoice since basil. */
export const invoicePayment = (bill: Bill): Fields => ({
  id: bill.id.replace("in_", "inpay_"),
  object: "invoice_payment",
  amount_paid: bill.amountMinor,
  amount_requested: bill.amountMinor,
  currency: bill.membership.member.price.currency,
  invoice: bill.id,
  is_default: true,
  payment: { type: "payment_intent", payment_intent: partsOf(bill).paymentIntent },
  status: "paid",
  livemode: false,
})

export const dispute = (bill: Bill, status: "needs_response" | "won"): Fields => ({
  id: bill.id.replace("in_", "du_"),
  object: "dispute",
  amount: bill.amountMinor,
  charge: partsOf(bill).charge,
  currency: bill.membership.member.price.currency,
  payment_intent: partsOf(bill).paymentIntent,
  reason: "fraudulent",
  status,
  livemode: false,
})
