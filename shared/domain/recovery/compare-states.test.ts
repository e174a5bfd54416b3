import fc from "fast-check"
import { expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { EMPTY_STATE } from "../state.ts"
import { casesFoundLate, differencesOf, isSameState, isSameValue, withoutNudges } from "./compare-states.ts"
import { rebuild } from "./fold.ts"
import type { Nudge } from "./nudges/nudges.ts"

const { on } = make
const failed = make.paymentFailed({ at: on(2), invoiceId: "in_1" })
const caseId = "payment_in_1"
const state = rebuild([failed])

test("a state is the same for any order of its fields", () => {
  const reversed = Object.fromEntries(Object.entries(state).reverse()) as unknown as typeof state
  expect(isSameState(state, reversed)).toBe(true)
  expect(isSameState(state, null)).toBe(false)
  expect(differencesOf(state, reversed)).toEqual([])
})

test.each([
  [{ a: 1, b: [2, { c: null }] }, { b: [2, { c: null }], a: 1 }, true],
  [{ a: 1, b: undefined }, { a: 1 }, true],
  [{ a: undefined }, { b: undefined }, true],
  [{ a: 1, b: undefined }, { a: 1, b: 2 }, false],
  [{ a: undefined, b: 1 }, { a: 1, b: undefined }, false],
  [[1, 2], [2, 1], false],
  [[1], { 0: 1 }, false],
  [[], {}, false],
  [null, {}, false],
  [null, undefined, false],
  [{ toString: 1 }, { valueOf: 1 }, false],
  [1, "1", false],
])("%j and %j: the same value is %j", (one, other, isSame) => {
  expect([isSameValue(one, other), isSameValue(other, one)]).toEqual([isSame, isSame])
})

test("a value of JSON is the same after it was stored, and no other value is", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
      expect(isSameValue(one, JSON.parse(JSON.stringify(one)))).toBe(true)
      expect(isSameValue(one, other)).toBe(isSameValue(other, one))
      expect(isSameValue([one], [one, other])).toBe(false)
    }),
  )
})

test("a missing failure shows as a missing case and as other differing fields", () => {
  expect(differencesOf({ ...EMPTY_STATE, position: state.position }, state)).toEqual([
    { kind: "case", id: caseId, stored: null, rebuilt: "open" },
    { kind: "part", id: "payments" },
  ])
})

test("a case that only the stored state has is a difference too", () => {
  expect(differencesOf(state, EMPTY_STATE)).toContainEqual({ kind: "case", id: caseId, stored: "open", rebuilt: null })
})

test("an unknown open case is late when it opened before the limit", () => {
  expect(casesFoundLate(null, state, on(3))).toEqual(new Set([caseId]))
  expect(casesFoundLate(null, state, on(1))).toEqual(new Set())
  expect(casesFoundLate(state, state, on(3))).toEqual(new Set())
})

test("nudges of late cases are suppressed, others stay", () => {
  const nudge = { id: "n", caseId, status: "planned", reason: null } as Nudge
  const other = { kind: "plan_nudge" as const, nudge: { ...nudge, caseId: "payment_in_2" } }
  expect(withoutNudges([{ kind: "plan_nudge", nudge }, other], new Set([caseId]))).toEqual([
    { kind: "plan_nudge", nudge: { ...nudge, status: "suppressed", reason: "found_late" } },
    other,
  ])
})

test("states that differ are not the same, whatever differs", () => {
  expect(isSameState(state, EMPTY_STATE)).toBe(false)
  expect(isSameState({ ...state, refused: { cases: 1 } }, state)).toBe(false)
})

test("differing cases are listed by id", () => {
  const other = (id: string) => make.paymentFailed({ at: on(1), invoiceId: id })
  const [stored, rebuilt] = [rebuild([failed, other("in_9")]), rebuild([failed, other("in_3"), other("in_2")])]
  expect(differencesOf(stored, rebuilt).flatMap(({ kind, id }) => (kind === "case" ? [id] : []))).toEqual([
    "payment_in_2",
    "payment_in_3",
    "payment_in_9",
  ])
})

test("only an open case that the stored state does not have is late, and not one of the limit's own second", () => {
  const second = make.paymentFailed({ at: on(2), invoiceId: "in_2" })
  const [one, both] = [rebuild([failed]), rebuild([failed, second])]
  expect(casesFoundLate(one, both, on(3))).toEqual(new Set(["payment_in_2"]))
  expect(casesFoundLate(both, both, on(3))).toEqual(new Set())
  expect(casesFoundLate(null, one, on(2))).toEqual(new Set())
  expect(casesFoundLate(null, rebuild([failed, make.paymentSucceeded({ at: on(2, "11:00:00") })]), on(3))).toEqual(
    new Set(),
  )
})

test("nudges of late cases that are not planned stay as they are, and so do other actions", () => {
  const nudge = { id: "n", caseId, status: "suppressed", reason: "no_address" } as Nudge
  const actions = [
    { kind: "plan_nudge", nudge },
    { kind: "move_nudge", nudge: { ...nudge, status: "planned" } },
    { kind: "suppress_nudge", nudgeId: "n", reason: "case_closed" },
  ] as const
  expect(withoutNudges(actions, new Set([caseId]))).toEqual(actions)
})
