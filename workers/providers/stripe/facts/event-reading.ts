/** What a reader makes of one event: facts, what it says of the customer, or why it says nothing. */
import type { ProviderFactBody } from "../../../../shared/domain/facts.ts"
import type { ContactChange } from "../../../../shared/provider.ts"
import type { StripeEvent } from "./envelope.ts"

export interface EventReading {
  readonly facts: readonly ProviderFactBody[]
  readonly contact: ContactChange | null
  readonly unhandled: string | null
}

/** Reads the events of some types; total, whatever the object holds. */
export type EventReader = (event: StripeEvent) => EventReading

/** The event says these facts. */
export const withFacts = (...facts: readonly ProviderFactBody[]): EventReading => ({
  facts,
  contact: null,
  unhandled: null,
})

/** The event gives no facts, for this plain reason. */
export const unhandled = (reason: string): EventReading => ({ facts: [], contact: null, unhandled: reason })

/** A type we know, of which nothing is kept. */
export const notUsed: EventReader = () => unhandled("not used")
