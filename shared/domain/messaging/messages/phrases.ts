/** The phrases of a language. Values are already sanitized and formatted. */

import type { Incentive } from "../../facts.ts"
import type { MemberMessageAction } from "../../recovery/decline-codes.ts"

/** The position of a message in the sequence. */
export type MessageStage = "first" | "reminder" | "last"

/** What an invoice is for. */
export type Billing = "subscription" | "one_off"

/** The values of a sentence; null where not known: then the sentence omits it. */
export interface PhraseValues {
  readonly brand: string
  /** What remains to be paid. */
  readonly amount: string | null
  /** When the subscription ends. */
  readonly endDate: string | null
}

export type PhraseTemplate = (values: PhraseValues) => string

/** Phrases for an open invoice. They do not mention a subscription: an invoice may have none. */
export interface InvoicePhrases<Ask> {
  readonly subject: Readonly<Record<MessageStage, PhraseTemplate>>
  readonly opening: Readonly<Record<MessageStage, PhraseTemplate>>
  /** What to do, and why it helps. */
  readonly ask: Ask
  readonly button: Ask
  /** A short message without brand and link. */
  readonly short: Ask extends string ? PhraseTemplate : Readonly<Record<MemberMessageAction, PhraseTemplate>>
}

/** Phrases for a member who has canceled or may cancel. */
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
  /** An overdue invoice that the member pays manually. */
  readonly overdue: InvoicePhrases<string>
  /** What happens once an invoice is paid. */
  readonly paid: Readonly<Record<Billing, Readonly<Record<MessageStage, string>>>>
  /** When the provider tries again automatically. */
  readonly nextAttempt: (date: string) => string
  /** How many invoices are open in all, and their total. */
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
  /** The prefix of a short message: who sends it. */
  readonly from: (brand: string) => string
  /** The prefix of the sentence of a short message, which distinguishes a reminder from the first message. */
  readonly mark: Readonly<Record<MessageStage, string>>
  /** For a brand name of which nothing readable is left. */
  readonly unnamed: string
}

/** The stage of a playbook step by its day; a manual message (null) is worded like the first. */
export function stageOf(step: number | null): MessageStage {
  const day = step ?? 0
  if (day <= 0) return "first"
  return day < 4 ? "reminder" : "last"
}
