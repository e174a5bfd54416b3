/** What is sent, and what every Worker must answer for its measurement to count. */

export type TargetName = "bare" | "bare-signed" | "churn-saver"

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly type: "invoice.paid" | "invoice.payment_failed"
  /**
   * `fresh`: a new event, customer and invoice. `known`: new events of customers that were seen before. `same`: one event
   * repeated.
   */
  readonly ids: "fresh" | "known" | "same"
  readonly warmUpSeconds: number
  readonly isSigned: boolean
  readonly expectedStatus: Readonly<Record<TargetName, number>>
}

/** V8 needs some thousand events to optimise a Worker. */
const WARM_UP_SECONDS = 2

/** Until each known customer has had an event, on a slow machine too. */
const KNOWN_WARM_UP_SECONDS = 8

const ACCEPTED = { bare: 200, "bare-signed": 200, "churn-saver": 200 } as const

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "known",
    title: "invoice.paid of a known customer; opens no case",
    type: "invoice.paid",
    ids: "known",
    warmUpSeconds: KNOWN_WARM_UP_SECONDS,
    isSigned: true,
    expectedStatus: ACCEPTED,
  },
  {
    name: "new",
    title: "invoice.paid of a customer not seen before; opens no case",
    type: "invoice.paid",
    ids: "fresh",
    warmUpSeconds: WARM_UP_SECONDS,
    isSigned: true,
    expectedStatus: ACCEPTED,
  },
  {
    name: "failed",
    title: "invoice.payment_failed of a customer not seen before; opens a case and plans its nudges",
    type: "invoice.payment_failed",
    ids: "fresh",
    warmUpSeconds: WARM_UP_SECONDS,
    isSigned: true,
    expectedStatus: ACCEPTED,
  },
  {
    name: "duplicate",
    title: "the same invoice.paid again and again, each time with a new signature",
    type: "invoice.paid",
    ids: "same",
    warmUpSeconds: WARM_UP_SECONDS,
    isSigned: true,
    expectedStatus: ACCEPTED,
  },
  {
    name: "forged",
    title: "a flood signed with a wrong secret; the bare Worker accepts it",
    type: "invoice.paid",
    ids: "fresh",
    warmUpSeconds: WARM_UP_SECONDS,
    isSigned: false,
    expectedStatus: { bare: 200, "bare-signed": 401, "churn-saver": 401 },
  },
]
