/** What a language must be able to say. Values handed in are already cleaned and formatted. */

import type { Incentive } from "../../facts.ts"
import type { MemberMessageAction } from "../../recovery/decline-codes.ts"

/** Where in the sequence a message stands. */
export type MessageStage = "first" | "reminder" | "last"

/** What an invoice is for. */
export type Billing = "subscription" | "one_off"

/** What a sentence may name; null where it is not known, and then the sentence goes without it. */
export interface PhraseValues {
  readonly brand: string
  /** What is still to be paid. */
  readonly amount: string | null
  /** When the subscription ends. */
  readonly endDate: string | null
}

export type PhraseTemplate = (said: PhraseValues) => string

/** What is said about an open invoice. Nothing here speaks of a subscription: an invoice may have none. */
export interface InvoicePhrases<Ask> {
  readonly subject: Readonly<Record<MessageStage, PhraseTemplate>>
  readonly opening: Readonly<Record<MessageStage, PhraseTemplate>>
  /** What to do, and why it helps. */
  readonly ask: Ask
  readonly button: Ask
  /** A short message without brand and link. */
  readonly short: Ask extends string ? PhraseTemplate : Readonly<Record<MemberMessageAction, PhraseTemplate>>
}

/** What is said to someone who is leaving or may leave. */
export interface StayPhrases {
  readonly subject: Readonly<Record<MessageStage, PhraseTemplate>>
  readonly opening: Readonly<Record<MessageStage, PhraseTemplate>>
  readonly ask: string
  /** What happens next. */
  readonly outcome: PhraseTemplate
  readonly button: string
  readonly short: PhraseTemplate
}

/** One language. */
export interface Phrases {
  readonly language: string
  readonly greeting: (firstName: string | null) => string
  /** An automatic payment that failed. */
  readonly failed: InvoicePhrases<Readonly<Record<MemberMessageAction, string>>>
  /** An invoice that the member pays by hand, and has not. */
  readonly overdue: InvoicePhrases<string>
  /** What happens once an invoice is paid. */
  readonly paid: Readonly<Record<Billing, Readonly<Record<MessageStage, string>>>>
  /** When the provider tries again by itself. */
  readonly nextAttempt: (date: string) => string
  /** How many invoices are open in all, and what they come to. */
  readonly total: (count: number, amount: string | null) => string
  readonly cancellation: StayPhrases
  readonly at_risk: StayPhrases
  readonly incentive: (incentive: Incentive) => string
  readonly help: (supportEmail: string) => string
  readonly linkHint: string
  /** Why this person gets the message. */
  readonly reason: Readonly<Record<Billing, (brand: string) => string>>
  readonly unsubscribe: string
  readonly stop: string
  /** What stands before a short message: whom it is from. */
  readonly from: (brand: string) => string
  /** What stands before the sentence of a short message, so that the second does not read like the first. */
  readonly mark: Readonly<Record<MessageStage, string>>
  /** For a brand of whose name nothing is left. */
  readonly unnamed: string
}

/** The stage of a playbook step by its day; a message a person sends by hand (null) reads like the first. */
export function stageOf(step: number | null): MessageStage {
  if (step === null || step <= 0) return "first"
  return step < 4 ? "reminder" : "last"
}
