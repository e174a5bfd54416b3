/** What is sent, and what every Worker must answer for its figures to count. */

export type SubjectName = "bare" | "bare-signed" | "churn-saver"

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly type: "invoice.paid" | "invoice.payment_failed"
  /**
   * `fresh`: an event, customer and invoice that nobody has seen. `known`: new events of customers that have been seen
   * before. `same`: one event again and again.
   */
  readonly ids: "fresh" | "known" | "same"
  readonly warmUpSeconds: number
  readonly isSigned: boolean
  readonly expectedStatus: Readonly<Record<SubjectName, number>>
}

/** Compilers need some thousand events before a Worker is as fast as it gets. */
const WARM_UP_SECONDS = 2

/** Until each of them has been seen, on a slow machine too. */
const MEETING_SECONDS = 8

const ACCEPTED = { bare: 200, "bare-signed": 200, "churn-saver": 200 } as const

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "known",
    title: "invoice.paid of a customer who is known; opens no case",
    type: "invoice.paid",
    ids: "known",
    warmUpSeconds: MEETING_SECONDS,
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
    title: "the same invoice.paid again and again, each time signed anew",
    type: "invoice.paid",
    ids: "same",
    warmUpSeconds: WARM_UP_SECONDS,
    isSigned: true,
    expectedStatus: ACCEPTED,
  },
  {
    name: "forged",
    title: "a flood signed with a wrong secret; the bare Worker takes it for true",
    type: "invoice.paid",
    ids: "fresh",
    warmUpSeconds: WARM_UP_SECONDS,
    isSigned: false,
    expectedStatus: { bare: 200, "bare-signed": 401, "churn-saver": 401 },
  },
]
