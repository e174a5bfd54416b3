/** Facts in the JSON of database functions. */
import { type Fact, type FactBody, type Instant, inLedgerOrder } from "../../../shared/domain/facts.ts"

/** A fact in the JSON of a database function. */
export interface FactJson {
  readonly id: string
  readonly occurredAt: string
  readonly knownAt: string
  readonly body: FactBody
}

/** The facts of an answer, in ledger order. */
export const factsFrom = (facts: readonly FactJson[]): readonly Fact[] =>
  inLedgerOrder(facts.map(({ id, occurredAt, body }) => ({ ...body, id, occurredAt: instantOf(occurredAt) })))

/** Postgres writes times in JSON with an offset and a variable number of digits; the code compares one form only. */
export const instantOf = (text: string): Instant => new Date(text).toISOString()
