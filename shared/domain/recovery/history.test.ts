import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import { asImported } from "../../../test/support/events/origins.ts"
import type { Fact } from "../facts.ts"
import { DEFAULT_SETTINGS } from "../settings.ts"
import { failureCountOf } from "../state.ts"
import { decide, decideSend, type ReachableChannels } from "./decide.ts"
import { rebuild } from "./fold.ts"
import type { Nudge } from "./nudges/nudges.ts"

const reach: ReachableChannels = { provider: "stripe", configured: ["email"] }
const seen = make.customerSeen({ at: on(-30), hasEmail: true })
const failed = (day: number, attempt: number, more: object = {}) =>
  make.paymentFailed({ at: on(day), attempt, id: `${day}.${attempt}`, ...more })
const past = (...facts: readonly Fact[]) => facts.map(asImported)

const actionsAfter = (facts: readonly Fact[], nudges: readonly Nudge[] = []) =>
  decide(rebuild([seen, ...facts]), nudges, DEFAULT_SETTINGS, reach, on(10))
const plannedCases = (facts: readonly Fact[], nudges: readonly Nudge[] = []) => [
  ...new Set(actionsAfter(facts, nudges).flatMap((a) => (a.kind === "plan_nudge" ? [a.nudge.caseId] : []))),
]

describe("a case that is known from history alone", () => {
  test("is open, counted and not nudged", () => {
    const facts = past(failed(0, 1))
    expect(rebuild(facts).cases).toMatchObject([{ status: "open", amountMinor: 1_999, knownFrom: "history" }])
    expect(actionsAfter(facts)).toEqual([])
  })

  test("is nudged from now on when another attempt of its invoice fails live, and other old cases stay silent", () => {
    const other = past(failed(0, 1, { invoiceId: "in_2", id: "other" }))
    expect(plannedCases([...past(failed(0, 1)), ...other, failed(3, 2)])).toEqual(["payment_in_1"])
  })

  test("is nudged when a charge of it fails live, whether the charge or the invoice comes first", () => {
    for (const time of ["09:59:00", "10:01:00"]) {
      const charge = make.chargeFailed({ at: on(0, time), chargeId: "ch_1", declineCode: "expired_card" })
      expect([time, plannedCases([...past(failed(0, 1)), charge])]).toEqual([time, ["payment_in_1"]])
    }
  })

  test("stays silent when a charge of it is imported too", () => {
    for (const time of ["09:59:00", "10:01:00"]) {
      const charge = make.chargeFailed({ at: on(0, time), chargeId: "ch_1" })
      expect([time, plannedCases(past(failed(0, 1), charge))]).toEqual([time, []])
    }
  })

  test("of a cancellation is nudged when it is announced live, not when another event repeats it", () => {
    const announced = make.cancellationAnnounced({ at: on(0), id: "a" })
    const repeated = make.subscription("subscription_changed", { at: on(3), cancelAt: on(30) })
    expect(plannedCases([...past(announced), repeated])).toEqual([])
    expect(plannedCases([...past(announced), make.cancellationAnnounced({ at: on(3) })])).toEqual([
      "cancellation_sub_1_1",
    ])
  })

  test("is recovered like any other, and the recovery is not ours", () => {
    const state = rebuild([...past(failed(0, 1)), make.paymentSucceeded({ at: on(2) })])
    expect(state.cases).toMatchObject([{ status: "recovered", recoveredMinor: 1_999 }])
  })
})

describe("a case that live news opened", () => {
  test("stays live when an earlier and a later failure of it are imported", () => {
    const facts = [...past(failed(-3, 1), failed(4, 3)), failed(0, 2)]
    expect(rebuild(facts).cases[0]).toMatchObject({ openedAt: on(-3) })
    expect(rebuild(facts).cases[0]).not.toHaveProperty("knownFrom")
    expect(plannedCases(facts)).toEqual(["payment_in_1"])
  })

  test("stays live when the same attempt is imported under another id, and counts it once", () => {
    const live = failed(0, 1)
    const imported = past(make.paymentFailed({ at: on(0, "09:59:57"), attempt: 1 }))
    for (const facts of [
      [live, ...imported],
      [...past(make.paymentFailed({ at: on(0, "10:00:05"), attempt: 1 })), live],
    ]) {
      const [only] = rebuild(facts).cases
      expect(only && failureCountOf(only)).toBe(1)
      expect(only).not.toHaveProperty("knownFrom")
    }
  })
})

test("a plan for a case that turns out to be imported is suppressed, and returns with live news", () => {
  const repeated = make.subscription("subscription_changed", { at: on(3), cancelAt: on(30) })
  const plans = actionsAfter([repeated]).flatMap((a) => (a.kind === "plan_nudge" ? [a.nudge] : []))
  expect(plans.length).toBeGreaterThan(0)
  const known = [...past(make.cancellationAnnounced({ at: on(0), id: "a" })), repeated]
  const putAside = plans.map(({ id }) => ({ kind: "suppress_nudge", nudgeId: id, reason: "history" }))
  expect(actionsAfter(known, plans)).toEqual(putAside)
  const suppressed = plans.map((nudge): Nudge => ({ ...nudge, status: "suppressed", reason: "history" }))
  expect(actionsAfter(known, suppressed)).toEqual([])
  expect(plannedCases([...known, make.cancellationAnnounced({ at: on(5) })], suppressed)).toEqual([
    "cancellation_sub_1_1",
  ])
})

test("a manual nudge may be sent for an imported case", () => {
  const state = rebuild([seen, ...past(failed(0, 1))])
  const nudge: Nudge = {
    ...{ id: "payment_in_1.manual-1.email", caseId: "payment_in_1", step: null, channel: "email", status: "planned" },
    ...{ reason: null, incentive: null, dueAt: on(10), attempts: 0, sentAt: null },
  }
  expect(decideSend(state, nudge, [], DEFAULT_SETTINGS, on(10))).toEqual({ kind: "send" })
  expect(decideSend(state, { ...nudge, step: 0 }, [], DEFAULT_SETTINGS, on(10))).toEqual({
    kind: "suppress",
    reason: "history",
  })
})
