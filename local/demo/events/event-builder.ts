/** Memberships and bills of the demo, and the interface that builds a provider's events from them. */
import type { ProviderName, SubscriptionStatus } from "../../../shared/domain/facts.ts"
import type { Decline, Member } from "../members.ts"

/** The current state of a membership; it changes during the simulation. */
export interface Membership {
  readonly member: Member
  status: SubscriptionStatus
  startedAt: Date
  periodStart: Date
  periodEnd: Date
  trialEnd: Date | null
  cancelAt: Date | null
}

/** One bill: an invoice at Stripe, a payment at Whop. */
export interface Bill {
  readonly id: string
  readonly membership: Membership
  readonly amountMinor: number
  readonly isFirst: boolean
  readonly createdAt: Date
  attempts: number
  status: "open" | "paid" | "given_up"
}

/** An event to send. */
export interface ScheduledEvent {
  readonly provider: ProviderName
  readonly id: string
  readonly type: string
  /** When it happened; Stripe's `created`. */
  readonly at: Date
  /** The customer; events of one customer are sent in sequence. */
  readonly about: string
  readonly body: string
  /** Sent after all others of its day, like after a delay in a provider's queue. */
  readonly isLate?: boolean
}

/** A failed attempt; `nextAttemptAt` is null for the last one. */
export interface Attempt {
  readonly at: Date
  readonly decline: Decline
  readonly nextAttemptAt: Date | null
}

/** Builds one provider's events. */
export interface EventBuilder {
  joined(membership: Membership, at: Date): ScheduledEvent[]
  /** A member from before the demo: the events when the provider updates their objects. */
  existing(membership: Membership, at: Date): ScheduledEvent[]
  trialEnds(membership: Membership, at: Date): ScheduledEvent[]
  /** A new period has begun, whether or not its bill is paid. */
  renewed(membership: Membership, at: Date): ScheduledEvent[]
  paid(bill: Bill, at: Date, how: "collected" | "out_of_band"): ScheduledEvent[]
  failed(bill: Bill, attempt: Attempt): ScheduledEvent[]
  cardUpdated(membership: Membership, at: Date): ScheduledEvent[]
  cancellationScheduled(membership: Membership, at: Date): ScheduledEvent[]
  cancellationRevoked(membership: Membership, at: Date): ScheduledEvent[]
  ended(membership: Membership, at: Date, why: "requested" | "payment_failed" | "never_paid"): ScheduledEvent[]
  disputed(bill: Bill, at: Date): ScheduledEvent[]
  disputeWon(bill: Bill, at: Date): ScheduledEvent[]
  /** Events that are unrelated to payments, some of an unknown type. */
  unrelated(at: Date): ScheduledEvent[]
}

/** Returns ids that are unique over all events and objects of all runs. */
export type NextId = (prefix: string) => string

export const secondsOf = (date: Date): number => Math.floor(date.getTime() / 1_000)

/** The time `seconds` later. */
export const after = (date: Date, seconds: number): Date => new Date(date.getTime() + seconds * 1_000)
