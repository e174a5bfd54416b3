/** What the rules of `contact-policy.ts` read. */
import type { Instant } from "../../facts.ts"
import type { CompanySettings } from "../../settings.ts"
import type { CaseState, CustomerState } from "../../state.ts"
import type { Nudge } from "./nudges.ts"

/** The part of a customer's state that the rules read. */
export type ContactState = Pick<CustomerState, "profile" | "subscriptions" | "cases"> & {
  readonly outreach: Pick<CustomerState["outreach"], "assignments" | "optedOutAt" | "incentives">
}

/** Another customer of the company with an address of this one. */
export interface SharedCustomer {
  readonly customerId: string
  readonly state: ContactState
  readonly nudges: readonly Nudge[]
}

/** What is known of a person beyond the current customer. */
export interface Person {
  /** Customers who share an address; only the most recently changed ones where there are very many. */
  readonly others: readonly SharedCustomer[]
  /** One of the customers who share an address, listed here or not, has opted out. */
  readonly isOptedOut: boolean
  /** The end of the current customer's quarantine; absent or past: not in quarantine. */
  readonly quarantinedUntil?: Instant | null
}

/** A customer whose addresses no other customer has. */
export const SINGLE_CUSTOMER: Person = { others: [], isOptedOut: false }

/** The input of every rule. */
export interface ContactContext {
  readonly state: ContactState & Pick<CustomerState, "payments" | "pending">
  readonly recoveryCase: CaseState
  readonly nudge: Nudge
  /** All other nudges of the customer. */
  readonly nudges: readonly Nudge[]
  readonly person: Person
  readonly settings: CompanySettings
  readonly now: Instant
}
