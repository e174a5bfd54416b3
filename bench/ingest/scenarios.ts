/** What is sent, and what every target must answer for its measurement to count. */
import type { EventSource } from "../load/events.ts"

export const TARGET_NAMES = ["bare", "bare-signed", "node-pg", "sync-engine", "churn-saver"] as const
export type TargetName = (typeof TARGET_NAMES)[number]

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly source: EventSource
  readonly warmUpSeconds: number
  /** Which targets refuse it with 401; the others accept it with 200. */
  readonly refusedBy: readonly TargetName[]
}

/** V8 needs some thousand events to optimise a Worker. */
const WARM_UP_SECONDS = 2

/** Until each known customer has had an event, on a slow machine too. */
const KNOWN_WARM_UP_SECONDS = 8

/** Enough that no customer has two events within a second, whose order would be undefined. */
const KNOWN = { prefixes: ["known"], count: 1_000 }

const paid = { type: "invoice.paid", isSigned: true } as const

export const KNOWN_SCENARIO: Scenario = {
  name: "known",
  title: "invoice.paid of a known customer; opens no case",
  source: { ...paid, customers: KNOWN },
  warmUpSeconds: KNOWN_WARM_UP_SECONDS,
  refusedBy: [],
}

export const FAILED_SCENARIO: Scenario = {
  name: "failed",
  title: "invoice.payment_failed of a customer not seen before; opens a case and plans its nudges",
  source: { type: "invoice.payment_failed", customers: "fresh", isSigned: true },
  warmUpSeconds: WARM_UP_SECONDS,
  refusedBy: [],
}

export const SCENARIOS: readonly Scenario[] = [
  KNOWN_SCENARIO,
  {
    name: "new",
    title: "invoice.paid of a customer not seen before; opens no case",
    source: { ...paid, customers: "fresh" },
    warmUpSeconds: WARM_UP_SECONDS,
    refusedBy: [],
  },
  FAILED_SCENARIO,
  {
    name: "duplicate",
    title: "the same invoice.paid again and again, each time with a new signature",
    source: { ...paid, customers: "same" },
    warmUpSeconds: WARM_UP_SECONDS,
    refusedBy: [],
  },
  {
    name: "forged",
    title: "a flood signed with a wrong secret; the bare Worker accepts it",
    source: { ...paid, customers: "fresh", isSigned: false },
    warmUpSeconds: WARM_UP_SECONDS,
    refusedBy: ["bare-signed", "node-pg", "sync-engine", "churn-saver"],
  },
]
