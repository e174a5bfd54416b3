import type { ObjectStore } from "./objects.ts"

/** What the routes work on. */
export type StripeWorld = {
  readonly objects: ObjectStore
  readonly now: () => Date
  /** Whether a well-formed id of a customer or a subscription that nobody planted is taken to exist when it is written to. */
  readonly adoptsUnknown: boolean
}
