import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  anyFacts,
  arbitraryFacts,
  arrivalOrders,
  overLimitFacts,
  providerFacts,
} from "../../../test/support/events/arbitrary-facts.ts"
import { invariantViolations } from "../../../test/support/events/state-invariants.ts"
import { asJsonb, asText, canonical, type Storage, StoredStream } from "../../../test/support/events/stored-stream.ts"
import { type Fact, inLedgerOrder } from "../facts.ts"
import { type CaseStatus, type CustomerState, EMPTY_STATE } from "../state.ts"
import { apply, fold, isOutreach, rebuild } from "./fold.ts"

const bytes = (state: CustomerState): string => JSON.stringify(state)
const arriving = (facts: fc.Arbitrary<readonly Fact[]>) =>
  facts.chain((all) => fc.tuple(fc.constant(all), arrivalOrders(all)))

/** Facts in batches of those sizes, over and over. */
function inBatches(facts: readonly Fact[], sizes: readonly number[]): Fact[][] {
  const batches: Fact[][] = []
  for (let start = 0, turn = 0; start < facts.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    batches.push(facts.slice(start, start + size))
    start += size
  }
  return batches
}

describe("order and repetition do not matter", () => {
  test("any permutation and any duplication of a generated history gives the same bytes", () => {
    fc.assert(
      fc.property(arriving(arbitraryFacts), ([facts, arrived]) => {
        expect(bytes(rebuild(arrived))).toBe(bytes(rebuild(facts)))
      }),
      { numRuns: 600 },
    )
  })

  test("any permutation and any duplication of facts that make no sense gives the same bytes", () => {
    fc.assert(
      fc.property(arriving(anyFacts), ([facts, arrived]) => {
        expect(bytes(rebuild(arrived))).toBe(bytes(rebuild(facts)))
      }),
      { numRuns: 500 },
    )
  })
})

describe("a snapshot and the facts after it give the same state as the whole ledger", () => {
  const batchSizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 })
  const storages: [string, fc.Arbitrary<readonly Fact[]>, Storage, (state: CustomerState) => string][] = [
    ["a life, stored as text, to the byte", arbitraryFacts, asText, bytes],
    ["a life, stored as jsonb", arbitraryFacts, asJsonb, canonical],
    ["facts that make no sense, stored as text, to the byte", anyFacts, asText, bytes],
    ["facts that make no sense, stored as jsonb", anyFacts, asJsonb, canonical],
  ]

  test.each(storages)("%s", (_, facts, storage, print) => {
    fc.assert(
      fc.property(arriving(facts), batchSizes, ([, arrived], sizes) => {
        const stream = new StoredStream(storage)
        for (const batch of inBatches(arrived, sizes)) {
          const state = stream.append(batch)
          expect(print(state)).toBe(print(stream.rebuilt()))
        }
      }),
      { numRuns: 120 },
    )
  })
})

describe("a customer with more facts than the state keeps", () => {
  test("has the same state in any order, with any repetition and in any batches", () => {
    fc.assert(
      fc.property(
        arriving(overLimitFacts),
        fc.array(fc.integer({ min: 50, max: 300 }), { minLength: 1 }),
        ([facts, arrived], sizes) => {
          const expected = canonical(rebuild(facts))
          expect(canonical(rebuild(arrived))).toBe(expected)
          const stream = new StoredStream(asJsonb)
          for (const batch of inBatches(arrived, sizes)) stream.append(batch)
          expect(canonical(stream.rebuilt())).toBe(expected)
          expect(canonical(stream.append([]))).toBe(expected)
        },
      ),
      { numRuns: 6 },
    )
  })

  test("has the same state when facts arrive in order, in batches that are folded onto the stored state", () => {
    fc.assert(
      fc.property(overLimitFacts, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (facts, sizes) => {
        const stream = new StoredStream(asJsonb)
        for (const batch of inBatches(inLedgerOrder(facts), sizes)) stream.append(batch)
        expect(canonical(stream.append([]))).toBe(canonical(rebuild(facts)))
      }),
      { numRuns: 6 },
    )
  })

  test("has a well-formed state", () => {
    fc.assert(
      fc.property(overLimitFacts, (facts) => {
        expect(invariantViolations(rebuild(facts))).toEqual([])
      }),
      { numRuns: 6 },
    )
  })
})

describe("a fold that changes its records in place gives what folding by copies gives", () => {
  test.each([
    ["a life", arbitraryFacts, 200],
    ["facts that make no sense", anyFacts, 300],
    ["a flood", overLimitFacts, 6],
  ])("%s", (_, facts, numRuns) => {
    fc.assert(
      fc.property(facts, (all) => {
        const ledger = inLedgerOrder(all)
        const copied = ledger.reduce((state, fact) => apply(state, fact), EMPTY_STATE)
        expect(bytes(fold(ledger))).toBe(bytes(copied))
      }),
      { numRuns },
    )
  })
})

test("our own actions change only `outreach`, at any position", () => {
  const withOwn = fc.tuple(providerFacts, arbitraryFacts).chain(([told, other]) => {
    const own = other.filter(({ kind }) => isOutreach(kind)).map((fact) => ({ ...fact, id: `own_${fact.id}` }))
    return fc.tuple(fc.constant(told), arrivalOrders([...told, ...own]))
  })
  fc.assert(
    fc.property(withOwn, ([told, all]) => {
      const { outreach: _, ...alone } = rebuild(told)
      const { outreach: __, ...together } = rebuild(all)
      expect(JSON.stringify(together)).toBe(JSON.stringify(alone))
    }),
    { numRuns: 400 },
  )
})

describe("a state is well-formed", () => {
  test("at every moment of a generated history", () => {
    const seen: Record<CaseStatus, number> = { open: 0, recovered: 0, lost: 0, reversed: 0 }
    fc.assert(
      fc.property(arbitraryFacts, fc.nat({ max: 100 }), (facts, percent) => {
        for (const known of [facts, facts.slice(0, Math.ceil((facts.length * percent) / 100))]) {
          const state = rebuild(known)
          expect(invariantViolations(state)).toEqual([])
          for (const { status } of state.cases) seen[status]++
        }
      }),
      { numRuns: 700 },
    )
    // Histories without such cases would prove nothing about them.
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(20)
  })

  test("after facts that no provider would report, with ids that every object inherits", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        expect(invariantViolations(rebuild(facts))).toEqual([])
      }),
      { numRuns: 2_000 },
    )
  })
})
