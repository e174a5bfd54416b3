/** Facts as functions of the database answer them. */
import { type Fact, type FactBody, type Instant, inLedgerOrder } from "../../../shared/domain/facts.ts"

/** A fact as the functions of the database answer it. */
export interface FactJson {
  readonly id: string
  readonly occurredAt: string
  readonly knownAt: string
  readonly body: FactBody
}

/** The facts of an answer, in ledger order. */
export const factsFrom = (facts: readonly FactJson[]): readonly Fact[] =>
  inLedgerOrder(facts.map(({ id, occurredAt, body }) => ({ ...body, id, occurredAt: instantOf(occurredAt) })))

/** Postgres writes times in JSON with an offset and as many digits as it needs; the code compares one form only. */
export const instantOf = (text: string): Instant => new Date(text).toISOString()
