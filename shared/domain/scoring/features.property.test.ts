/**
 * Invariants of features: a vector computed at some moment is reproduced bit for bit from the whole ledger later; order and
 * repetition of facts do not matter; facts that occurred or became known later have no influence.
 */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { anyFacts, arbitraryFacts } from "../../../test/support/events/arbitrary-facts.ts"
import type { Fact, Instant } from "../facts.ts"
import { featureSchema, features, type LedgerFact, vectorOf } from "./features.ts"

const SEED = { seed: 20_261_122 }
const HOUR_MS = 3_600_000
const later = (instant: Instant, ms: number): Instant => new Date(Date.parse(instant) + ms).toISOString()

/** Usage and tickets, in addition to generated histories, which contain only billing. */
const signals = fc
  .array(
    fc.record({
      day: fc.integer({ min: 0, max: 120 }),
      what: fc.constantFrom("logins", "exports", "opened", "complained", "closed"),
      quantity: fc.constantFrom(0, 1, 3, 0.1, 1_000_000),
    }),
    { maxLength: 25 },
  )
  .map((entries) =>
    entries.map(({ day, what, quantity }, index): Fact => {
      const at = { id: `signal_${index}`, occurredAt: later("2026-01-01T00:00:00.000Z", day * 24 * HOUR_MS) }
      if (what === "closed") return { ...at, kind: "ticket_closed", ticketId: "t_1", isNegative: null }
      if (what === "opened") return { ...at, kind: "ticket_opened", ticketId: "t_1", isNegative: false }
      if (what === "complained") return { ...at, kind: "ticket_opened", ticketId: `t_${index}`, isNegative: true }
      return { ...at, kind: "usage_recorded", meter: what, quantity, subscriptionId: null }
    }),
  )

/** A ledger whose facts became known at once, or hours or weeks late; and moments, some equal to the time of a fact. */
const known = (facts: fc.Arbitrary<readonly Fact[]>) =>
  fc.tuple(facts, signals).chain(([billing, used]) => {
    const all = [...billing, ...used]
    const delays = fc.array(fc.constantFrom(0, 0, 0, 1, HOUR_MS, 30 * 24 * HOUR_MS), {
      minLength: all.length,
      maxLength: all.length,
    })
    return fc.record({
      ledger: delays.map((by) =>
        all.map((fact, i): LedgerFact => ({ ...fact, knownAt: later(fact.occurredAt, by[i] ?? 0) })),
      ),
      moments: fc.array(
        fc.oneof(
          fc.constantFrom(...all.map(({ occurredAt }) => occurredAt), "2026-02-01T00:00:00.000Z"),
          fc.integer({ min: 0, max: 130 }).map((day) => later("2026-01-01T00:00:00.000Z", day * 24 * HOUR_MS + 1)),
        ),
        { minLength: 1, maxLength: 4 },
      ),
    })
  })

const bits = (ledger: readonly LedgerFact[], asOf: Instant) => vectorOf(features(ledger, asOf))

describe.each([
  ["a generated history", arbitraryFacts],
  ["inconsistent facts", anyFacts],
])("%s", (_, facts) => {
  test("reproduces every vector that was computed from the facts known then", () => {
    fc.assert(
      fc.property(known(facts), ({ ledger, moments }) => {
        for (const asOf of moments) {
          const knownThen = ledger.filter(({ knownAt }) => knownAt <= asOf)
          expect(bits(ledger, asOf)).toStrictEqual(bits(knownThen, asOf))
        }
      }),
      { ...SEED, numRuns: 150 },
    )
  })

  test("gives the same vector in any order and with any repetition", () => {
    const arrivals = known(facts).chain(({ ledger, moments }) =>
      fc.tuple(
        fc.constant({ ledger, asOf: moments[0] ?? "" }),
        fc
          .subarray(ledger)
          .chain((again) => fc.shuffledSubarray([...ledger, ...again], { minLength: ledger.length + again.length })),
      ),
    )
    fc.assert(
      fc.property(arrivals, ([{ ledger, asOf }, arrived]) => {
        expect(bits(arrived, asOf)).toStrictEqual(bits(ledger, asOf))
      }),
      { ...SEED, numRuns: 150 },
    )
  })

  test("ignores facts that occurred at its moment or later, or became known later", () => {
    fc.assert(
      fc.property(known(facts), ({ ledger, moments }) => {
        for (const asOf of moments) {
          const past = ledger.filter(({ occurredAt, knownAt }) => occurredAt < asOf && knownAt <= asOf)
          const otherwise = ledger
            .filter((fact) => !past.includes(fact))
            .map((fact) => ({ ...fact, id: `x${fact.id}` }))
          expect(bits([...past, ...otherwise], asOf)).toStrictEqual(bits(past, asOf))
        }
      }),
      { ...SEED, numRuns: 100 },
    )
  })

  test("gives finite numbers, levels of the schema, or null", () => {
    fc.assert(
      fc.property(known(facts), ({ ledger, moments }) => {
        const values = features(ledger, moments[0] ?? "")
        for (const { name, levels } of featureSchema) {
          const value = values[name]
          const isFit = levels ? typeof value === "string" && levels.includes(value) : Number.isFinite(value)
          expect([name, value, value === null || isFit]).toEqual([name, value, true])
        }
      }),
      { ...SEED, numRuns: 150 },
    )
  })
})
