/** What the demo tells of: bills, the memberships they are for, and events as a provider words them. */
import type { SubscriptionStatus } from "../../shared/domain/facts.ts"
import type { Decline, Member } from "./members.ts"

/** A membership as it is at the moment; it changes as the story goes on. */
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

/** An event that a provider is going to send. */
export interface ScheduledEvent {
  readonly provider: "stripe" | "whop"
  readonly id: string
  readonly type: string
  /** When it happened; Stripe calls it `created`. */
  readonly at: Date
  /** Events of one customer are sent one after the other. */
  readonly about: string
  readonly body: string
  /** Sent after all others of its day, as happens when a provider's queue is stuck. */
  readonly isLate?: boolean
}

/** How a failed attempt ends: which attempt it was and when the next one is, null when it was the last. */
export interface Attempt {
  readonly at: Date
  readonly decline: Decline
  readonly nextAttemptAt: Date | null
}

/** One provider's way of telling what happened. */
export interface EventBuilder {
  joined(membership: Membership, at: Date): ScheduledEvent[]
  /** A member from before: what the provider says when anything about them is saved. */
  known(membership: Membership, at: Date): ScheduledEvent[]
  trialEnds(membership: Membership, at: Date): ScheduledEvent[]
  paid(bill: Bill, at: Date, how: "collected" | "out_of_band"): ScheduledEvent[]
  failed(bill: Bill, attempt: Attempt): ScheduledEvent[]
  cardUpdated(membership: Membership, at: Date): ScheduledEvent[]
  leaves(membership: Membership, at: Date): ScheduledEvent[]
  stays(membership: Membership, at: Date): ScheduledEvent[]
  ended(membership: Membership, at: Date, why: "requested" | "payment_failed" | "never_paid"): ScheduledEvent[]
  disputed(bill: Bill, at: Date): ScheduledEvent[]
  disputeWon(bill: Bill, at: Date): ScheduledEvent[]
  /** Events that have nothing to do with anybody's payments, some of a type that nobody knows yet. */
  unrelated(at: Date): ScheduledEvent[]
}

/** Gives ids that no other event or object of any run has. */
export type NextId = (prefix: string) => string

export const secondsOf = (date: Date): number => Math.floor(date.getTime() / 1_000)

/** The moment so many seconds later. */
export const after = (date: Date, seconds: number): Date => new Date(date.getTime() + seconds * 1_000)
