import fc from "fast-check"
import { expect, test } from "vitest"
import { arbitraryFacts, arrivalOrders } from "../../../../test/support/events/arbitrary-facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { rebuild } from "../fold.ts"
import { lapsedBy } from "./lapse.ts"

/** The ledger once the job has looked at it on that day. */
function lookedAt(facts: readonly Fact[], day: number): readonly Fact[] {
  const state = rebuild(facts)
  return [...facts, ...state.cases.flatMap(({ id }) => lapsedBy(state, id, on(day)) ?? [])]
}

test("with what the job wrote, any permutation and any duplication of a generated history gives the same bytes", () => {
  // The job comes when a part of the life is known, and once more when all of it is.
  const looked = arbitraryFacts.chain((facts) =>
    fc.nat({ max: facts.length }).map((known) => {
      const first = lookedAt(facts.slice(0, known), 62)
      return lookedAt([...first, ...facts.slice(known)], 130)
    }),
  )
  let lapsed = 0
  fc.assert(
    fc.property(
      looked.chain((facts) => fc.tuple(fc.constant(facts), arrivalOrders(facts))),
      ([facts, arrived]) => {
        const state = rebuild(facts)
        lapsed += state.cases.filter(({ closeReason }) => closeReason === "lapsed").length
        expect(JSON.stringify(rebuild(arrived))).toBe(JSON.stringify(state))
        expect(lookedAt(facts, 130)).toEqual(facts)
      },
    ),
    { numRuns: 400 },
  )
  expect(lapsed).toBeGreaterThan(10)
})
