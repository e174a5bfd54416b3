/**
 * Whose wish the end of a subscription is: one table of the fields in which a provider states it. A member's intent is read
 * only where it is stated; the table with its sources is in docs/INTENT.md. Facts carry the answer as `endBy`.
 */
import type { EndBy } from "../facts.ts"

/** What an event states about the end of a subscription, in one vocabulary for all providers. */
export interface StatedEnd {
  /** The end of the period that is paid for: what a member's "cancel" sets. */
  readonly atPeriodEnd: boolean
  /** The member gave a reason for leaving: nobody else is asked for one. */
  readonly hasReasonOfMember: boolean
  /** A cancellation was requested. */
  readonly isRequested: boolean
  /** The provider ended it: payments failed, a dispute, a retention policy. */
  readonly byProvider: boolean
  /** A schedule manages the subscription, and ends it. */
  readonly bySchedule: boolean
  /** The end was set when the subscription was created: a fixed term. */
  readonly sinceCreation: boolean
  /** A term that was agreed ends later than before: it was extended. */
  readonly isExtension: boolean
  /** The member moves to another plan of the same company. */
  readonly isSwitch: boolean
  /** The event has the fields in which a member's cancellation shows, and they are empty. */
  readonly isUnrequested: boolean
}

/** The first row that holds decides. */
const ROWS: readonly { readonly when: keyof StatedEnd; readonly endBy: EndBy }[] = [
  { when: "isSwitch", endBy: "other" },
  { when: "byProvider", endBy: "other" },
  { when: "hasReasonOfMember", endBy: "member" },
  { when: "sinceCreation", endBy: "other" },
  { when: "isExtension", endBy: "other" },
  { when: "bySchedule", endBy: "other" },
  { when: "isRequested", endBy: "member" },
  { when: "isUnrequested", endBy: "other" },
  { when: "atPeriodEnd", endBy: "member" },
]

/** Whose wish it is; where no field states anything, nobody's: a date alone is a term that was agreed. */
export const endByOf = (stated: StatedEnd): EndBy => ROWS.find(({ when }) => stated[when])?.endBy ?? "other"
