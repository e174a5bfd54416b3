import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import { EMPTY_STATE, paymentOf } from "../state.ts"
import { isBefore, missingFacts, rebuild } from "./fold.ts"

test("no facts, no state", () => {
  expect(rebuild([])).toBe(EMPTY_STATE)
})

describe("the profile", () => {
  test("keeps what an event does not state, and applies what it states to be none", () => {
    const facts = [
      make.customerSeen({ at: on(0), hasEmail: true, hasPhone: true, timeZone: "Europe/Berlin", locale: "de" }),
      make.customerSeen({ at: on(1), hasPhone: false }),
      make.customerSeen({ at: on(2), timeZone: null }),
    ]
    expect(rebuild(facts).profile).toMatchObject({ hasEmail: true, hasPhone: false, timeZone: null, locale: "de" })
  })

  test("remembers that the customer was deleted", () => {
    expect(rebuild([make.customerSeen({ at: on(0), deleted: true })]).profile.isDeleted).toBe(true)
  })
})

describe("what we did", () => {
  test("is kept in order of time, each once", () => {
    const [early, late] = [make.nudgeSent({ at: on(1) }), make.nudgeSent({ at: on(2) })]
    expect(rebuild([late, early, late]).outreach.sent.map(({ at }) => at)).toEqual([on(1), on(2)])
  })

  test("keeps the first opt-out", () => {
    expect(rebuild([make.optedOut({ at: on(4) }), make.optedOut({ at: on(2) })]).outreach.optedOutAt).toBe(on(2))
  })

  test("does not depend on the order, so its receipts need no refold", () => {
    const state = rebuild([make.paymentFailed({ at: on(0) }), make.nudgeSent({ at: on(1) })])
    expect(state.position).toMatchObject({ occurredAt: on(0) })
    expect(isBefore(make.nudgeSent({ at: on(-1) }), state.position)).toBe(false)
  })
})

describe("a fact needs a refold", () => {
  const known = make.paymentFailed({ at: on(1), id: "m" })
  const { position } = rebuild([known])

  test.each([
    ["when it happened earlier", make.paymentSucceeded({ at: on(0) }), true],
    ["when it is known already", known, true],
    ["when its kind comes first in that second", make.customerSeen({ at: on(1) }), true],
    ["when its id comes first in that second and kind", make.paymentFailed({ at: on(1), id: "l" }), true],
    ["not when its id comes later", make.paymentFailed({ at: on(1), id: "n" }), false],
    ["not when its kind comes later", make.paymentSucceeded({ at: on(1), id: "a" }), false],
    ["not when it happened later", make.customerSeen({ at: on(2) }), false],
  ])("%s", (_, fact, expected) => {
    expect(isBefore(fact, position)).toBe(expected)
  })
})

test("closing a missing or closed case changes no case", () => {
  const failed = make.paymentFailed({ at: on(0) })
  const paid = make.paymentSucceeded({ at: on(1) })
  expect(rebuild([failed, make.closedByOperator({ at: on(1), caseId: "payment_in_2" })]).cases).toEqual(
    rebuild([failed]).cases,
  )
  expect(rebuild([failed, paid, make.closedByOperator({ at: on(2) })]).cases).toEqual(rebuild([failed, paid]).cases)
})

test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("an invoice may be called %s", (invoiceId) => {
  const named = { invoiceId, subscriptionId: invoiceId }
  const facts = [make.paymentFailed({ at: on(0), ...named }), make.paymentSucceeded({ at: on(1), ...named })]
  const state = rebuild(facts)
  expect(state.cases).toMatchObject([{ id: `payment_${invoiceId}`, status: "recovered", recoveredMinor: 1_999 }])
  expect(paymentOf(state, invoiceId)).toMatchObject({ invoiceId, status: "succeeded", amountMinor: 1_999 })
  expect(state.subscriptions).toEqual({})
  expect(paymentOf(rebuild([]), invoiceId)).toBeUndefined()
})

test("a fact that was not read is reported by its id", () => {
  const facts = ["a", "b"].map((id) => make.paymentFailed({ at: on(1), id }))
  expect(missingFacts(["a", "b"], facts)).toEqual([])
  expect(missingFacts(["b", "c"], facts)).toEqual(["c"])
  expect(missingFacts([], [])).toEqual([])
})
