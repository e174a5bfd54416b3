import { expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { EMPTY_STATE } from "../state.ts"
import { casesFoundLate, differencesOf, isSameState, withoutNudges } from "./compare-states.ts"
import { rebuild } from "./fold.ts"
import type { Nudge } from "./nudges.ts"

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
