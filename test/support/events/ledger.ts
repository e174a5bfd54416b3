/** Ledgers of a customer, as features and labels read them. */
import type { Fact, Instant } from "../../../shared/domain/facts.ts"
import { type LedgerFact, type LedgerView, viewOf } from "../../../shared/domain/scoring/features/view.ts"
import { on } from "./facts.ts"

const DAY_MS = 86_400_000

/** Facts that became known when they occurred, or `daysLater`. */
export const known = (facts: readonly Fact[], daysLater = 0): LedgerFact[] =>
  facts.map((fact) => ({
    ...fact,
    knownAt: new Date(Date.parse(fact.occurredAt) + daysLater * DAY_MS).toISOString(),
  }))

/** What was known of these facts on a day of the test's month. */
export const viewOn = (day: number, facts: readonly Fact[]): LedgerView => viewOf(known(facts), on(day))

/** The moment so many days, or parts of days, before a day of the test's month. */
export const daysBefore = (day: number, days: number): Instant =>
  new Date(Date.parse(on(day)) - days * DAY_MS).toISOString()
