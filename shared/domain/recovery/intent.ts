/**
 * Who asked for the end of a subscription: one table of the fields in which a provider states it. A member's intent is
 * assumed only where it is stated; the table with its sources is in docs/INTENT.md. Facts have the result as `endBy`.
 */
import type { EndBy } from "../facts.ts"

/** What an event states about the end of a subscription, in terms common to all providers. */
export interface StatedEnd {
  /** It ends with the paid period: what a member's "cancel" sets. */
  readonly atPeriodEnd: boolean
  /** It has a cancellation reason, which only members are asked for. */
  readonly hasReasonOfMember: boolean
  /** A cancellation was requested. */
  readonly isRequested: boolean
  /** The provider ended it: payments failed, a dispute, a policy. */
  readonly byProvider: boolean
  /** A subscription schedule ends it. */
  readonly bySchedule: boolean
  /** The end was set when the subscription was created: a fixed term. */
  readonly sinceCreation: boolean
  /** A fixed term was extended: it ends later than before. */
  readonly isExtension: boolean
  /** The member changes to another plan of the same company. */
  readonly isSwitch: boolean
  /** The event has the fields that state a member's cancellation, and they are empty. */
  readonly isUnrequested: boolean
}

/** The first row that applies decides. */
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

/** Who asked for the end; `other` where no field states it: a date alone is a fixed term. */
export const endByOf = (stated: StatedEnd): EndBy => ROWS.find(({ when }) => stated[when])?.endBy ?? "other"
