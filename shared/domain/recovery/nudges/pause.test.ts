import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { type CaseState, findCase } from "../../state.ts"
import { rebuild } from "../fold.ts"
import { type Nudge, nudgeId } from "./nudges.ts"
import { dueTimesAfterPause, type Pause, pauseOf, pendingOf } from "./pause.ts"

const CASE = "payment_in_1"
const failed = make.paymentFailed({ at: on(0) })
const failedToo = make.paymentFailed({ at: on(0), invoiceId: "in_2" })
/** A voucher that expires on day 5; its result is awaited for three days more. */
const pending = (given: object = {}) => make.paymentPending({ at: on(1), expiresAt: on(5), ...given })
const paused = (given: object = {}) =>
  make.subscription("subscription_changed", { at: on(1), paused: "requested", ...given })

const pauseAfter = (facts: readonly Fact[], now = on(2), caseId = CASE): Pause | null => {
  const state = rebuild(facts)
  const recoveryCase = findCase(state, caseId)
  if (!recoveryCase) throw new Error("no case was opened")
  return pauseOf(state, recoveryCase, now)
}

describe("reminders about a bill wait", () => {
  test("not without a reason", () => {
    expect(pauseAfter([failed])).toBeNull()
  })

  test("while its payment is in progress", () => {
    const until = on(8)
    expect(pauseAfter([failed, pending()])).toEqual({ until, reason: "payment_in_progress" })
    expect(pauseAfter([failed, pending()], on(7, "23:59:59"))).toEqual({ until, reason: "payment_in_progress" })
    expect(pauseAfter([failed, pending()], until)).toBeNull()
  })

  test("while another open bill is being paid, or one that nobody named", () => {
    expect(pauseAfter([failed, failedToo, pending({ invoiceId: "in_2" })])?.until).toBe(on(8))
    expect(pauseAfter([failed, pending({ invoiceId: null, paymentIntentId: "pi_1" })])?.until).toBe(on(8))
  })

  test("not for the payment of an invoice that has no open case", () => {
    expect(pauseAfter([failed, pending({ invoiceId: "in_9", paymentIntentId: "pi_1" })])).toBeNull()
  })

  test("until the later of two results", () => {
    const both = [pending({ expiresAt: on(2) }), pending({ invoiceId: "in_2", expiresAt: on(5) })]
    expect(pauseAfter([failed, failedToo, ...both])?.until).toBe(on(8))
    expect(pauseAfter([failed, failedToo, ...both.reverse()])?.until).toBe(on(8))
  })

  test("while somebody's pause of the subscription lasts", () => {
    const asked = { until: on(20), reason: "collection_paused" }
    expect(pauseAfter([failed, paused({ pauseEndsAt: on(20) })])).toEqual(asked)
    expect(pauseAfter([failed, paused({ pauseEndsAt: on(20) })], on(20))).toBeNull()
  })

  test("until the later end, for the reason that lasts longer", () => {
    const shortPause = [failed, paused({ pauseEndsAt: on(6) }), pending()]
    expect(pauseAfter(shortPause)).toEqual({ until: on(8), reason: "payment_in_progress" })
    const longPause = [failed, paused({ pauseEndsAt: on(9) }), pending()]
    expect(pauseAfter(longPause)).toEqual({ until: on(9), reason: "collection_paused" })
  })

  test("not because a failed payment paused the subscription, nor for one that has ended", () => {
    expect(pauseAfter([failed, paused({ paused: "payment_failure", pauseEndsAt: on(20) })])).toBeNull()
    const openBill = make.paymentFailed({ at: on(2), subscriptionId: "sub_2", invoiceId: "in_2" })
    expect(pauseAfter([paused({ pauseEndsAt: on(20) }), openBill], on(3), "payment_in_2")).toBeNull()
  })

  test("in periods of thirty days from the opening, where a pause has no end", () => {
    const facts = [failed, paused()]
    expect(pauseAfter(facts, on(1))?.until).toBe(on(30))
    expect(pauseAfter(facts, on(29, "09:59:59"))?.until).toBe(on(30))
    expect(pauseAfter(facts, on(30))?.until).toBe(on(60))
    expect(pauseAfter(facts, on(61))?.until).toBe(on(90))
    expect(pauseAfter(facts, on(-40))?.until).toBe(on(30))
  })

  test("not in a case that is closed, nor in one that is not about a bill", () => {
    const paid = make.paymentSucceeded({ at: on(2) })
    expect(pauseAfter([failed, failedToo, pending({ invoiceId: "in_2" }), paid], on(3))).toBeNull()
    const announced = make.cancellationAnnounced({ at: on(1) })
    expect(pauseAfter([failed, pending(), announced], on(2), "cancellation_sub_1_1")).toBeNull()
  })
})

describe("the payment in progress of a case", () => {
  const of = (facts: readonly Fact[], caseId = CASE) => {
    const state = rebuild(facts)
    return pendingOf(state, findCase(state, caseId) as CaseState)
  }
  const unnamed = pending({ invoiceId: null, paymentIntentId: "pi_1" })

  test("is its own, else the last that names no invoice", () => {
    expect(of([failed])).toBeNull()
    expect(of([failed, unnamed])).toMatchObject({ invoiceId: null, refs: ["pi_1"] })
    const later = pending({ at: on(2), invoiceId: null, paymentIntentId: "pi_2" })
    expect(of([failed, unnamed, later])).toMatchObject({ refs: ["pi_2"] })
    expect(of([failed, pending({ paymentIntentId: "pi_3" }), later])).toMatchObject({ invoiceId: "in_1" })
  })

  test("is not that of another bill", () => {
    expect(of([failed, failedToo, pending({ invoiceId: "in_2" })])).toBeNull()
  })

  test("is nothing once the case is closed, nor for a cancellation", () => {
    expect(
      of([failed, make.paymentSucceeded({ at: on(1) }), pending({ at: on(2), invoiceId: null, chargeId: "ch" })]),
    ).toBeNull()
    expect(of([failed, unnamed, make.cancellationAnnounced({ at: on(1) })], "cancellation_sub_1_1")).toBeNull()
  })
})

describe("planned messages", () => {
  const nudge = (step: number | null, given: Partial<Nudge> = {}): Nudge => ({
    id: nudgeId(CASE, step ?? 99, given.channel ?? "email"),
    caseId: CASE,
    step,
    channel: "email",
    status: "planned",
    reason: null,
    incentive: null,
    dueAt: on(step ?? 0),
    attempts: 0,
    sentAt: null,
    ...given,
  })
  const pause: Pause = { until: on(8), reason: "payment_in_progress" }
  const moved = (nudges: readonly Nudge[], at: Pause | null, now = on(1)) =>
    dueTimesAfterPause(nudges, at, now).map(({ nudge: { step }, dueAt, reason }) => [step, dueAt, reason])

  test("move behind the end of a pause, as far apart as their steps", () => {
    expect(moved([nudge(4), nudge(0), nudge(2)], pause)).toEqual([
      [0, on(8), "payment_in_progress"],
      [2, on(10), "payment_in_progress"],
      [4, on(12), "payment_in_progress"],
    ])
  })

  test("keep their distance from what the member has already had", () => {
    const sent = nudge(0, { status: "sent", sentAt: on(7) })
    const sentBefore = nudge(1, { status: "sent", sentAt: on(3) })
    expect(moved([sent, sentBefore, nudge(2)], pause)).toEqual([[2, on(9), "payment_in_progress"]])
    expect(moved([sentBefore, sent, nudge(2)], pause)).toEqual([[2, on(9), "payment_in_progress"]])
  })

  test("keep no distance from what was refused, or has not gone out yet", () => {
    for (const status of ["failed", "sending"] as const) {
      const steps = [nudge(0, { status }), nudge(30, { dueAt: on(2) })]
      expect(moved(steps, pause)).toEqual([[30, on(8), "payment_in_progress"]])
    }
  })

  test("stay where they are when they are due after the pause", () => {
    expect(moved([nudge(0, { dueAt: on(8) }), nudge(4, { dueAt: on(12) })], pause)).toEqual([])
    expect(moved([nudge(0, { dueAt: on(9) }), nudge(2, { dueAt: on(9) })], pause)).toEqual([
      [2, on(11), "payment_in_progress"],
    ])
  })

  test("come back to now when the pause ends early", () => {
    const waiting = { reason: "payment_in_progress" }
    const nudges = [nudge(0, { ...waiting, dueAt: on(8) }), nudge(2, { ...waiting, dueAt: on(10) })]
    expect(moved(nudges, null)).toEqual([
      [0, on(1), null],
      [2, on(3), null],
    ])
    const forPause = [nudge(0, { reason: "collection_paused", dueAt: on(8) })]
    expect(moved(forPause, null)).toEqual([[0, on(1), null]])
  })

  test("do not come back when no pause had moved them, nor when they are due already", () => {
    expect(moved([nudge(2, { dueAt: on(8) })], null)).toEqual([])
    expect(moved([nudge(2, { reason: "quiet_hours", dueAt: on(8) })], null)).toEqual([])
    expect(moved([nudge(2, { reason: "payment_in_progress", dueAt: on(1) })], null)).toEqual([])
    const mixed = [nudge(0, { reason: "payment_in_progress", dueAt: on(8) }), nudge(2, { dueAt: on(8) })]
    expect(moved(mixed, null)).toEqual([[0, on(1), null]])
  })

  test("of the team and by hand do not wait, nor do those that are not planned", () => {
    const others = [nudge(0, { channel: "slack" }), nudge(null), nudge(2, { status: "suppressed" })]
    expect(moved(others, pause)).toEqual([])
  })
})
