/** The result of reading one event: facts, contact data of the customer, or why there are none. */
import type { ProviderFactBody } from "../../../../shared/domain/facts.ts"
import type { ContactChange } from "../../../../shared/provider.ts"
import type { StripeEvent } from "./envelope.ts"

export interface EventReading {
  readonly facts: readonly ProviderFactBody[]
  readonly contact: ContactChange | null
  readonly unhandled: string | null
}

/** Reads the events of some types; accepts any object. */
export type EventReader = (event: StripeEvent) => EventReading

/** The event has these facts. */
export const withFacts = (...facts: readonly ProviderFactBody[]): EventReading => ({
  facts,
  contact: null,
  unhandled: null,
})

/** The event has no facts, for this reason. */
export const unhandled = (reason: string): EventReading => ({ facts: [], contact: null, unhandled: reason })

/** A known type that we have no use for. */
export const notUsed: EventReader = () => unhandled("not used")
