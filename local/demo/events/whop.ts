/**
 * Whop's events of the simulation: v1 envelopes, amounts as decimals in major units, one payment id for all attempts.
 */
import { exponentOf } from "../../../shared/domain/money.ts"
import type { Member } from "../members.ts"
import type { Bill, EventBuilder, Membership, NextId, ScheduledEvent } from "./event-builder.ts"

type Fields = Readonly<Record<string, unknown>>

/** The Whop account of the local world. */
const COMPANY = "biz_demo"

/** Whop's status for Stripe's. */
const STATUS: Readonly<Record<string, string>> = {
  canceled: "expired",
  incomplete: "drafted",
  incomplete_expired: "expired",
}

export function whopEventBuilder(nextId: NextId): EventBuilder {
  function buildEvent(about: string, type: string, at: Date, data: Fields, previous?: Fields): ScheduledEvent {
    const id = nextId("msg")
    const event = {
      ...{ id, api_version: "v1", type, timestamp: at.toISOString(), company_id: COMPANY, data },
      ...(previous === undefined ? {} : { previous_attributes: previous }),
    }
    return { provider: "whop", id, type, at, about, body: JSON.stringify(event) }
  }

  const ofMembership = (
    membership: Membership,
    type: string,
    at: Date,
    more: Fields = {},
    previous?: Fields,
  ): ScheduledEvent =>
    buildEvent(membership.member.customerId, `membership.${type}`, at, membershipOf(membership, at, more), previous)

  const ofPayment = (bill: Bill, type: string, at: Date, more: Fields = {}): ScheduledEvent =>
    buildEvent(bill.membership.member.customerId, `payment.${type}`, at, paymentOf(bill, more))

  const ofDispute = (bill: Bill, type: string, at: Date, status: string): ScheduledEvent => {
    const { member } = bill.membership
    return buildEvent(member.customerId, `dispute.${type}`, at, {
      id: bill.id.replace("pay_", "dspt_"),
      amount: decimal(bill),
      company: { id: COMPANY },
      created_at: at.toISOString(),
      currency: member.price.currency,
      payment: paymentOf(bill, {}),
      reason: "Product Not Received",
      status,
      visa_rdr: false,
    })
  }

  return {
    joined: (membership, at) => [ofMembership(membership, "activated", at)],
    existing: (membership, at) => [ofMembership(membership, "updated", at, {}, { metadata: null })],
    renewed: (membership, at) => [
      ofMembership(membership, "updated", at, {}, { renewal_period_start: membership.startedAt.toISOString() }),
    ],
    trialEnds: (membership, at) => [ofMembership(membership, "trial_ending_soon", at)],
    paid(bill, at) {
      const { membership } = bill
      const wasPastDue = membership.status === "past_due"
      bill.status = "paid"
      if (membership.status !== "trialing") membership.status = "active"
      return [
        ofPayment(bill, "succeeded", at, { status: "paid", substatus: "succeeded", paid_at: at.toISOString() }),
        ...(wasPastDue ? [ofMembership(membership, "activated", at, {}, { status: "past_due" })] : []),
      ]
    },
    failed(bill, { at, decline, nextAttemptAt }) {
      const { membership } = bill
      const isFirstFailure = bill.attempts === 0 && !bill.isFirst
      bill.attempts += 1
      if (isFirstFailure) membership.status = "past_due"
      // Half of the members get events without a code, like older senders at Whop.
      const code = membership.member.number % 2 === 0 ? { decline_code: decline.code } : {}
      return [
        ofPayment(bill, "failed", at, {
          status: "open",
          substatus: "failed",
          failure_message: decline.message,
          last_payment_attempt: at.toISOString(),
          next_payment_attempt: nextAttemptAt?.toISOString() ?? null,
          retryable: nextAttemptAt !== null,
          ...code,
          recovery_url: `https://whop.com/checkout/recover/${bill.id}`,
        }),
        ...(isFirstFailure ? [ofMembership(membership, "deactivated", at, {}, { status: "active" })] : []),
      ]
    },
    cardUpdated: ({ member }, at) => [
      buildEvent(member.customerId, "setup_intent.succeeded", at, {
        id: nextId("sint"),
        company: { id: COMPANY },
        member: { id: memberId(member), user: userOf(member) },
        payment_method: { id: nextId("payt"), payment_method_type: "card" },
        status: "succeeded",
      }),
    ],
    cancellationScheduled(membership, at) {
      membership.cancelAt = membership.periodEnd
      return [ofMembership(membership, "cancel_at_period_end_changed", at, { canceled_at: at.toISOString() })]
    },
    cancellationRevoked(membership, at) {
      membership.cancelAt = null
      return [ofMembership(membership, "cancel_at_period_end_changed", at)]
    },
    ended(membership, at, why) {
      const before = STATUS[membership.status] ?? membership.status
      membership.status = "canceled"
      const status = why === "requested" ? "canceled" : "expired"
      return [ofMembership(membership, "deactivated", at, { status }, { status: before })]
    },
    disputed: (bill, at) => [ofDispute(bill, "created", at, "needs_response")],
    disputeWon: (bill, at) => [ofDispute(bill, "updated", at, "won")],
    unrelated(at) {
      const nobody = nextId("nobody")
      const company = { id: COMPANY }
      return [
        buildEvent(nobody, "entry.created", at, { id: nextId("entry"), company, status: "pending" }),
        buildEvent(nobody, "forum_post.pinned", at, { id: nextId("post"), company }),
      ]
    },
  }
}

const memberId = ({ customerId }: Member): string => customerId.replace("user_", "mber_")

const userOf = ({ customerId, name, email }: Member): Fields => ({
  ...{ id: customerId, name, email },
  username: name.toLowerCase().replace(" ", "_"),
})

/** 1999 usd is 19.99, 1500 jpy is 1500; as a JSON number. */
const decimal = ({ amountMinor, membership }: Bill): number =>
  Number((amountMinor / 10 ** exponentOf(membership.member.price.currency)).toFixed(2))

function membershipOf({ member, ...membership }: Membership, at: Date, more: Fields): Fields {
  const isCanceling = membership.cancelAt !== null
  return {
    id: member.subscriptionId,
    cancel_at_period_end: isCanceling,
    cancel_option: isCanceling ? "too_expensive" : null,
    canceled_at: null,
    cancellation_reason: null,
    company: { id: COMPANY, title: "Demo Company" },
    created_at: membership.startedAt.toISOString(),
    currency: member.price.currency,
    joined_at: membership.startedAt.toISOString(),
    manage_url: `https://whop.com/billing/manage/${member.subscriptionId}`,
    member: { id: memberId(member) },
    payment_collection_paused: false,
    plan: { id: member.price.id },
    product: { id: "prod_signals", title: "Signals" },
    renewal_period_start: membership.periodStart.toISOString(),
    renewal_period_end: membership.periodEnd.toISOString(),
    status: isCanceling ? "canceling" : (STATUS[membership.status] ?? membership.status),
    updated_at: at.toISOString(),
    user: userOf(member),
    ...more,
  }
}

function paymentOf(bill: Bill, more: Fields): Fields {
  const { member, status } = bill.membership
  return {
    id: bill.id,
    billing_reason: bill.isFirst ? "subscription_create" : "subscription_cycle",
    company: { id: COMPANY, title: "Demo Company" },
    created_at: bill.createdAt.toISOString(),
    currency: member.price.currency,
    failure_message: null,
    member: { id: memberId(member), phone: member.phone },
    membership: { id: member.subscriptionId, phone_number: member.phone, status: STATUS[status] ?? status },
    paid_at: null,
    payment_method_type: "card",
    payments_failed: bill.attempts,
    plan: { id: member.price.id },
    product: { id: "prod_signals", title: "Signals" },
    subtotal: decimal(bill),
    total: decimal(bill),
    user: userOf(member),
    ...more,
  }
}
