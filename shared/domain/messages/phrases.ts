/** What a language must be able to say. Values handed in are already cleaned and formatted. */
import type { MemberAsk } from "../decline-codes.ts"
import type { Incentive } from "../facts.ts"

/** Where in the sequence a message stands. */
export type Stage = "first" | "reminder" | "last"

/** A sentence about a brand and, when known, an amount. */
export type Sentence = (brand: string, amount: string | null) => string

/** What is said about a failed payment. */
export interface PaymentPhrases {
  readonly subject: Readonly<Record<Stage, Sentence>>
  readonly opening: Readonly<Record<Stage, Sentence>>
  /** What to do, and why it helps. */
  readonly ask: Readonly<Record<MemberAsk, string>>
  /** What happens next. */
  readonly outcome: Readonly<Record<Stage, string>>
  readonly button: Readonly<Record<MemberAsk, string>>
  /** The whole of a short message, without the link. */
  readonly short: Readonly<Record<MemberAsk, Sentence>>
}

/** What is said to someone who is leaving or may leave. */
export interface StayPhrases {
  readonly subject: Readonly<Record<Stage, Sentence>>
  readonly opening: Readonly<Record<Stage, Sentence>>
  readonly ask: string
  readonly outcome: Readonly<Record<Stage, string>>
  readonly button: string
  readonly short: Sentence
}

/** One language. */
export interface Phrases {
  readonly language: string
  readonly greeting: (firstName: string | null) => string
  readonly payment: PaymentPhrases
  readonly cancellation: StayPhrases
  readonly at_risk: StayPhrases
  readonly incentive: (incentive: Incentive) => string
  readonly help: (supportEmail: string) => string
  readonly linkHint: string
  readonly reason: (brand: string) => string
  readonly unsubscribe: string
  readonly stop: string
  /** What stands before a short message, so that the second does not read like the first. */
  readonly mark: Readonly<Record<Stage, string>>
  /** For a brand of whose name nothing is left. */
  readonly unnamed: string
  /** Several open bills: how many, and what they come to where that is known. */
  readonly total: (count: number, amounts: string | null) => string
}

/** The stage of a playbook step by its day; a message a person sends by hand (null) reads like the first. */
export function stageOf(step: number | null): Stage {
  if (step === null || step <= 0) return "first"
  return step < 4 ? "reminder" : "last"
}
