/** Stripe's events of the simulation, in order. */

import type { Member } from "../members.ts"
import {
  after,
  type Bill,
  type EventBuilder,
  type Membership,
  type NextId,
  type ScheduledEvent,
  secondsOf,
} from "./event-builder.ts"
import * as objects from "./stripe-objects.ts"

type Fields = objects.Fields

/** Builds events in the member's API version. */
export function stripeEventBuilder(nextId: NextId): EventBuilder {
  function buildEvent({ about, version, type, at, object, previous }: EventSpec): ScheduledEvent {
    const id = nextId("evt")
    const event = {
      id,
      object: "event",
      api_version: version,
      created: secondsOf(at),
      data: { object, ...(previous === undefined ? {} : { previous_attributes: previous }) },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type,
    }
    return { provider: "stripe", id, type, at, about, body: JSON.stringify(event) }
  }

  const memberEvent = (
    { customerId, stripeVersion }: Member,
    spec: { readonly type: string; readonly at: Date; readonly object: Fields; readonly previous?: Fields },
  ): ScheduledEvent => buildEvent({ about: customerId, version: stripeVersion, ...spec })

  const ofSubscription = (
    membership: Membership,
    type: string,
    at: Date,
    more: Fields = {},
    previous?: Fields,
  ): ScheduledEvent =>
    memberEvent(membership.member, {
      ...{ type: `customer.subscription.${type}`, at, object: objects.subscription(membership, more) },
      ...(previous === undefined ? {} : { previous }),
    })

  /** Sets the subscription's status, with an event if it changed. */
  function changeStatus(membership: Membership, status: Membership["status"], at: Date): ScheduledEvent[] {
    const before = membership.status
    if (before === status) return []
    membership.status = status
    return [ofSubscription(membership, "updated", at, {}, { status: before })]
  }

  const ofCustomer = ({ member, startedAt }: Membership, type: string, at: Date): ScheduledEvent =>
    memberEvent(member, { type: `customer.${type}`, at, object: objects.customer(member, startedAt) })

  function ofBill(bill: Bill, type: string, at: Date, object: Fields): ScheduledEvent {
    return memberEvent(bill.membership.member, { type, at, object })
  }

  return {
    joined: (membership, at) => [
      ofCustomer(membership, "created", at),
      memberEvent(membership.member, {
        type: "payment_method.attached",
        at: after(at, 1),
        object: { id: nextId("pm"), object: "payment_method", type: "card", customer: membership.member.customerId },
      }),
      ofSubscription(membership, "created", after(at, 2)),
    ],
    existing: (membership, at) => [
      ofCustomer(membership, "updated", at),
      ofSubscription(membership, "updated", after(at, 1), {}, { metadata: {} }),
    ],
    renewed: (membership, at) => [ofSubscription(membership, "updated", at, {}, { latest_invoice: null })],
    trialEnds: (membership, at) => [ofSubscription(membership, "trial_will_end", at)],
    // All within one second, like Stripe's events of one payment.
    paid(bill, at, how) {
      const { membership } = bill
      const isBasil = membership.member.stripeVersion >= "2025-03-31"
      bill.status = "paid"
      if (how === "out_of_band") {
        const elsewhere = isBasil
          ? { amount_paid_off_stripe: bill.amountMinor }
          : { paid_out_of_band: true, charge: null, payment_intent: null }
        const paid = objects.invoice(bill, elsewhere)
        return [ofBill(bill, "invoice.paid", at, paid), ...changeStatus(membership, "active", at)]
      }
      bill.attempts += 1
      const isFree = bill.amountMinor === 0
      const payment = [
        ofBill(bill, "charge.succeeded", at, objects.charge(bill, null)),
        ofBill(bill, "payment_intent.succeeded", at, objects.paymentIntent(bill, null)),
      ]
      return [
        ...(isFree ? [] : payment),
        ofBill(bill, "invoice.paid", at, objects.invoice(bill)),
        ofBill(bill, "invoice.payment_succeeded", at, objects.invoice(bill)),
        ...(isBasil && !isFree ? [ofBill(bill, "invoice_payment.paid", at, objects.invoicePayment(bill))] : []),
        ...(membership.status === "trialing" ? [] : changeStatus(membership, "active", at)),
      ]
    },
    failed(bill, { at, decline, nextAttemptAt }) {
      bill.attempts += 1
      const next = nextAttemptAt === null ? null : secondsOf(nextAttemptAt)
      return [
        ofBill(bill, "charge.failed", at, objects.charge(bill, decline)),
        ofBill(bill, "payment_intent.payment_failed", at, objects.paymentIntent(bill, decline)),
        ofBill(bill, "invoice.payment_failed", after(at, 1), objects.invoice(bill, { next_payment_attempt: next })),
        ...(bill.isFirst ? [] : changeStatus(bill.membership, "past_due", after(at, 2))),
      ]
    },
    cardUpdated: ({ member }, at) => [
      memberEvent(member, {
        type: "payment_method.automatically_updated",
        at,
        object: { id: nextId("pm"), object: "payment_method", type: "card", customer: member.customerId },
      }),
    ],
    cancellationScheduled(membership, at) {
      const details = { cancellation_details: { reason: "cancellation_requested", feedback: "too_expensive" } }
      membership.cancelAt = membership.periodEnd
      const before = { cancel_at: null, cancel_at_period_end: false }
      return [ofSubscription(membership, "updated", at, { ...details, canceled_at: secondsOf(at) }, before)]
    },
    cancellationRevoked(membership, at) {
      const before = { cancel_at: secondsOf(membership.cancelAt ?? at), cancel_at_period_end: true }
      membership.cancelAt = null
      return [ofSubscription(membership, "updated", at, {}, before)]
    },
    ended(membership, at, why) {
      if (why === "never_paid") return changeStatus(membership, "incomplete_expired", at)
      membership.status = "canceled"
      const reason = why === "requested" ? "cancellation_requested" : "payment_failed"
      return [ofSubscription(membership, "deleted", at, { ended_at: secondsOf(at), cancellation_details: { reason } })]
    },
    disputed: (bill, at) => [ofBill(bill, "charge.dispute.created", at, objects.dispute(bill, "needs_response"))],
    disputeWon: (bill, at) => [ofBill(bill, "charge.dispute.closed", at, objects.dispute(bill, "won"))],
    unrelated(at) {
      const about = nextId("nobody")
      const common = { about, version: "2026-10-28.endive", at }
      return [
        buildEvent({
          ...common,
          type: "product.updated",
          object: { id: "prod_member", object: "product", name: "Member" },
        }),
        buildEvent({
          ...common,
          type: "loyalty.points_expired",
          object: { id: nextId("loy"), object: "loyalty.points" },
        }),
      ]
    },
  }
}

interface EventSpec {
  readonly about: string
  readonly version: string
  readonly type: string
  readonly at: Date
  readonly object: Fields
  readonly previous?: Fields
}
