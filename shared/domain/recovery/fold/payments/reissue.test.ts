import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { paymentOf } from "../../../state.ts"
import { rebuild } from "../../fold.ts"

const { paymentFailed, paymentSucceeded, invoiceVoided, invoiceReissued } = make

const MARCH = { start: on(0), end: on(31) }
const failed = paymentFailed({ at: on(0), period: MARCH })
const voided = invoiceVoided({ at: on(1) })
const issued = (given: object = {}) => paymentFailed({ at: on(2), invoiceId: "in_2", period: MARCH, ...given })
const cases = (...facts: readonly Fact[]) =>
  rebuild(facts).cases.map(({ id, invoiceId, status }) => [id, invoiceId, status])

const CONTINUED = [["payment_in_1", "in_2", "open"]]
const APART = [
  ["payment_in_1", "in_1", "lost"],
  ["payment_in_2", "in_2", "open"],
]

describe("a voided invoice and a new one are one bill", () => {
  test("when both are for the same subscription and time", () => {
    expect(cases(failed, voided, issued())).toEqual(CONTINUED)
  })

  test("when their times share more than half of the shorter one", () => {
    expect(cases(failed, voided, issued({ period: { start: on(15), end: on(46) } }))).toEqual(CONTINUED)
    expect(cases(failed, voided, issued({ period: { start: on(16), end: on(46) } }))).toEqual(APART)
    expect(cases(failed, voided, issued({ period: { start: on(5), end: on(7) } }))).toEqual(CONTINUED)
    expect(cases(failed, voided, issued({ period: { start: on(5), end: on(5) } }))).toEqual(APART)
  })

  test("within fourteen days", () => {
    expect(cases(failed, voided, issued({ at: on(15) }))).toEqual(CONTINUED)
    expect(cases(failed, voided, issued({ at: on(15, "10:00:01") }))).toEqual(APART)
  })

  test.each<[string, object]>([
    ["another subscription", { subscriptionId: "sub_2" }],
    ["another currency", { currency: "eur" }],
    ["no known time", { period: undefined }],
    ["a change of plan", { billing: "change" }],
    ["no subscription", { billing: "one_off" }],
  ])("not when the new one is for %s", (_, given) => {
    expect(cases(failed, voided, issued(given))).toEqual(APART)
  })

  test("not when nothing says what time the old one was for, or what subscription either was for", () => {
    expect(cases(paymentFailed({ at: on(0) }), voided, issued())).toEqual(APART)
    const none = { subscriptionId: null }
    expect(cases(paymentFailed({ at: on(0), period: MARCH, ...none }), voided, issued(none))).toEqual(APART)
  })

  test("when both are one-off, of one amount", () => {
    const oneOff = { billing: "one_off", subscriptionId: null } as const
    const old = paymentFailed({ at: on(0), ...oneOff })
    expect(cases(old, voided, issued(oneOff))).toEqual(CONTINUED)
    expect(cases(old, voided, issued({ ...oneOff, amountMinor: 5 }))).toEqual(APART)
    expect(cases(old, voided, issued({ billing: undefined }))).toEqual(APART)
  })

  test("also when the new one failed before the old one was voided: then it has a case of its own", () => {
    expect(cases(failed, issued({ at: on(1, "09:00:00") }), voided)).toEqual([["payment_in_2", "in_2", "open"]])
  })

  test("also when the new one is paid: the case is recovered", () => {
    const paid = paymentSucceeded({ at: on(2), invoiceId: "in_2", period: MARCH })
    expect(cases(failed, voided, paid)).toEqual([["payment_in_1", "in_2", "recovered"]])
    const paidBefore = paymentSucceeded({ at: on(0, "12:00:00"), invoiceId: "in_2", period: MARCH })
    expect(cases(failed, paidBefore, voided)).toEqual([["payment_in_1", "in_2", "recovered"]])
  })

  test("of several new ones the first", () => {
    const paid = (invoiceId: string, time: string) => paymentSucceeded({ at: on(0, time), invoiceId, period: MARCH })
    const [late, early] = [paid("in_2", "13:00:00"), paid("in_3", "12:00:00")]
    expect(cases(failed, late, early, voided)).toEqual([["payment_in_1", "in_3", "recovered"]])
    const together = [paid("in_3", "12:00:00"), paid("in_2", "12:00:00")]
    expect(cases(failed, ...together, voided)).toEqual([["payment_in_1", "in_2", "recovered"]])
  })

  test("not one that was paid before the old one failed", () => {
    const before = paymentSucceeded({ at: on(-1), invoiceId: "in_2", period: MARCH })
    expect(cases(before, failed, voided)).toEqual([["payment_in_1", "in_1", "lost"]])
  })
})

describe("the provider says which invoice takes the place of which", () => {
  const link = (given: object = {}) => invoiceReissued({ at: on(2), invoiceId: "in_2", replaces: "in_1", ...given })
  const plain = paymentFailed({ at: on(0) })

  test("before the old one is voided, or after", () => {
    expect(cases(plain, link({ at: on(0, "11:00:00") }), voided)).toEqual(CONTINUED)
    expect(cases(plain, voided, link())).toEqual(CONTINUED)
    expect(cases(plain, link({ at: on(0, "11:00:00") }))).toEqual([["payment_in_1", "in_1", "open"]])
  })

  test("and it counts more than what looks alike", () => {
    const other = paymentSucceeded({ at: on(0, "12:00:00"), invoiceId: "in_3", period: MARCH })
    expect(cases(failed, other, link({ at: on(0, "13:00:00") }), voided)).toEqual(CONTINUED)
  })

  test("of an invoice that nobody knows, by one without id, or by itself: nothing", () => {
    expect(cases(plain, link({ replaces: "in_9" }))).toEqual([["payment_in_1", "in_1", "open"]])
    for (const invoiceId of [null, "in_1"]) {
      expect(cases(plain, voided, link({ invoiceId }))).toEqual([["payment_in_1", "in_1", "lost"]])
      expect(paymentOf(rebuild([plain, link({ invoiceId })]), "in_1")).not.toHaveProperty("reissuedAs")
    }
  })

  test("and a case that an operator closed stays closed", () => {
    const closed = make.closedByOperator({ at: on(0, "12:00:00") })
    expect(cases(plain, closed, voided, link())).toEqual([["payment_in_1", "in_1", "lost"]])
  })

  test("and the case starts anew with the new invoice, as news of the day", () => {
    const [moved] = rebuild([plain, voided, link()]).cases
    expect(moved).toMatchObject({ status: "open", closeReason: null, closedAt: null, heardAt: on(2), openedAt: on(0) })
    expect(paymentOf(rebuild([plain, voided, link()]), "in_1")).toMatchObject({ status: "voided", reissuedAs: "in_2" })
  })
})
