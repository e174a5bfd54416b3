/** What was known of a customer at a moment: the view from which every feature is computed. */
import { comparePositions, type Fact, type FactKind, type Instant, positionOf } from "../../facts.ts"
import type { CustomerState } from "../../state.ts"
import { type AccessPeriod, accessHistory, joinPeriods } from "./access.ts"

/** A fact with the time from which on it could be known: written down, and tied to the customer. */
export type LedgerFact = Fact & { readonly knownAt: Instant }

/** Days after the loss of paid access within which coming back undoes it; the definition that KKBox's challenge uses. */
export const GRACE_DAYS = 30

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000

export interface LedgerView {
  readonly atMs: number
  readonly state: CustomerState
  /** Spells of paid access, those within the grace of each other joined. */
  readonly spells: readonly AccessPeriod[]
  readonly byKind: ReadonlyMap<FactKind, readonly Fact[]>
}

/**
 * Facts that had happened before `asOf` and were known by then, in ledger order, each id once: the same whatever order and
 * however often they were read.
 */
export function knownFacts(ledger: readonly LedgerFact[], asOf: Instant): Fact[] {
  const byId = new Map<string, LedgerFact>()
  for (const fact of ledger) {
    if (fact.knownAt > asOf || fact.occurredAt >= asOf) continue
    byId.set(fact.id, fact)
  }
  return [...byId.values()].sort((a, b) =>
    // Most facts differ in time, which is cheaper to compare than whole positions.
    a.occurredAt === b.occurredAt
      ? comparePositions(positionOf(a), positionOf(b))
      : a.occurredAt < b.occurredAt
        ? -1
        : 1,
  )
}

/** The view of a ledger at a moment. */
export function viewOf(ledger: readonly LedgerFact[], asOf: Instant): LedgerView {
  const facts = knownFacts(ledger, asOf)
  const { state, spells } = accessHistory(facts)
  const byKind = new Map<FactKind, Fact[]>()
  for (const fact of facts) {
    const same = byKind.get(fact.kind)
    if (same) same.push(fact)
    else byKind.set(fact.kind, [fact])
  }
  return { atMs: Date.parse(asOf), state, spells: joinPeriods(spells, GRACE_DAYS * DAY_MS), byKind }
}

/** The facts of one kind, in ledger order. */
export const factsOf = <Kind extends FactKind>(
  { byKind }: LedgerView,
  kind: Kind,
): readonly Extract<Fact, { kind: Kind }>[] =>
  // `byKind` holds under a kind only facts of that kind, which a Map's type cannot say.
  (byKind.get(kind) ?? []) as readonly Extract<Fact, { kind: Kind }>[]

/** Days from an instant to the view's moment; negative for what is to come. */
export const daysSince = ({ atMs }: LedgerView, instant: Instant): number => (atMs - Date.parse(instant)) / DAY_MS

/** How many of these happened within the last `days`. */
export const countWithin = (view: LedgerView, facts: readonly { readonly occurredAt: Instant }[], days: number) =>
  facts.filter(({ occurredAt }) => daysSince(view, occurredAt) <= days).length

/** Days since the last of these; null when there is none. They stand in ledger order. */
export function daysSinceLast(view: LedgerView, facts: readonly { readonly occurredAt: Instant }[]): number | null {
  const last = facts.at(-1)
  return last === undefined ? null : daysSince(view, last.occurredAt)
}
