import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import { known, viewOn } from "../../../../test/support/events/ledger.ts"
import type { Fact } from "../../facts.ts"
import { countWithin, daysSince, daysSinceLast, factsOf, knownFacts, viewOf } from "./view.ts"

const card = (day: number, id: string) => make.cardAdded({ at: on(day), id })
const idsOf = (facts: readonly Fact[]) => facts.map(({ id }) => id)

describe("what was known at a moment", () => {
  test("are the facts that occurred before and were known by then", () => {
    const ledger = [
      ...known([card(1, "before"), card(5, "same moment"), card(6, "later")]),
      ...known([card(2, "known just then")], 3),
      ...known([card(3, "known too late")], 3),
    ]
    expect(idsOf(knownFacts(ledger, on(5)))).toEqual(["before", "known just then"])
  })

  test("is in ledger order, each fact once: by time, then causes before effects, then ids", () => {
    const failed = make.paymentFailed({ at: on(2), id: "a" })
    const facts = [card(3, "last"), failed, card(2, "c"), card(1, "first"), card(2, "b"), card(1, "first")]
    expect(idsOf(knownFacts(known(facts), on(5)))).toEqual(["first", "b", "c", "a", "last"])
    expect(idsOf(knownFacts(known(facts.toReversed()), on(5)))).toEqual(["first", "b", "c", "a", "last"])
  })

  test("is sorted by kind", () => {
    const view = viewOn(5, [card(1, "a"), make.optedOut({ at: on(2), id: "b" }), card(3, "c")])
    expect(idsOf(factsOf(view, "payment_method_added"))).toEqual(["a", "c"])
    expect(idsOf(factsOf(view, "opted_out"))).toEqual(["b"])
    expect(factsOf(view, "nudge_sent")).toEqual([])
  })
})

test("leaving and returning within 30 days is one period of access", () => {
  const began = make.subscription("subscription_started", { at: on(0), startedAt: on(0) })
  const back = (day: number) => make.subscription("subscription_resumed", { at: on(day) })
  const gone = make.subscriptionEnded({ at: on(10) })
  expect(viewOn(60, [began, gone, back(40)]).periods).toEqual([{ from: on(0), to: null, end: null }])
  expect(viewOn(60, [began, gone, back(41)]).periods).toHaveLength(2)
})

test("days are counted back from the moment, and fractions count", () => {
  const view = viewOf([], on(10))
  expect(daysSince(view, on(8, "22:00:00"))).toBe(1.5)
  expect(daysSince(view, on(12))).toBe(-2)
  expect(daysSinceLast(view, [card(1, "a"), card(7, "b")])).toBe(3)
  expect(daysSinceLast(view, [])).toBeNull()
})

test("the last 30 days include the one that ends exactly now", () => {
  const view = viewOf([], on(40))
  expect(countWithin(view, [card(9, "31 days"), card(10, "30 days"), card(39, "a day")], 30)).toBe(2)
})
