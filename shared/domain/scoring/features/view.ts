/** What was known of a customer at a moment: the input of every feature. */
import { type Fact, type FactKind, type Instant, inLedgerOrder } from "../../facts.ts"
import type { CustomerState } from "../../state.ts"
import { type AccessPeriod, accessHistory, joinPeriods } from "./access.ts"

/** A fact with the time since which it was known: recorded and linked to the customer. */
export type LedgerFact = Fact & { readonly knownAt: Instant }

/** Days after the loss of paid access within which returning undoes it; from the definition of KKBox's churn challenge. */
export const GRACE_DAYS = 30

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000

/** The mean length of a month. */
export const DAYS_OF_A_MONTH = 365.25 / 12

export interface LedgerView {
  readonly atMs: number
  readonly state: CustomerState
  /** Periods of paid access, joined across gaps up to the grace period. */
  readonly periods: readonly AccessPeriod[]
  readonly byKind: ReadonlyMap<FactKind, readonly Fact[]>
}

/**
 * Facts that occurred before `asOf` and were known by then, in ledger order, each id once. Independent of order and repetition
 * in `ledger`.
 */
export const knownFacts = (ledger: readonly LedgerFact[], asOf: Instant): Fact[] =>
  inLedgerOrder(ledger.filter(({ knownAt, occurredAt }) => knownAt <= asOf && occurredAt < asOf))

/** The view of a ledger at a moment. */
export function viewOf(ledger: readonly LedgerFact[], asOf: Instant): LedgerView {
  const facts = knownFacts(ledger, asOf)
  const { state, periods } = accessHistory(facts)
  const byKind = new Map<FactKind, Fact[]>()
  for (const fact of facts) {
    const same = byKind.get(fact.kind)
    if (same) same.push(fact)
    else byKind.set(fact.kind, [fact])
  }
  return { atMs: Date.parse(asOf), state, periods: joinPeriods(periods, GRACE_DAYS * DAY_MS), byKind }
}

/** The facts of one kind, in ledger order. */
export const factsOf = <Kind extends FactKind>(
  { byKind }: LedgerView,
  kind: Kind,
): readonly Extract<Fact, { kind: Kind }>[] =>
  // `byKind` holds under a kind only facts of that kind, which a Map's type cannot say.
  (byKind.get(kind) ?? []) as readonly Extract<Fact, { kind: Kind }>[]

/** Days from an instant to the view's moment; negative for the future. */
export const daysSince = ({ atMs }: LedgerView, instant: Instant): number => (atMs - Date.parse(instant)) / DAY_MS

/** How many of these occurred within the last `days`. */
export const countWithin = (view: LedgerView, facts: readonly { readonly occurredAt: Instant }[], days: number) =>
  facts.filter(({ occurredAt }) => daysSince(view, occurredAt) <= days).length

/** Days since the last of these, which must be in ledger order; null if there is none. */
export function daysSinceLast(view: LedgerView, facts: readonly { readonly occurredAt: Instant }[]): number | null {
  const last = facts.at(-1)
  return last === undefined ? null : daysSince(view, last.occurredAt)
}
