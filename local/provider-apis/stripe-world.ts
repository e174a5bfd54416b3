import type { ObjectStore } from "./objects.ts"

/** The state of the routes. */
export type StripeWorld = {
  readonly objects: ObjectStore
  readonly now: () => Date
  /** Whether writes accept valid ids of customers and subscriptions that were not created. */
  readonly adoptsUnknown: boolean
}
