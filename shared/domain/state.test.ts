import { describe, expect, test } from "vitest"
import * as make from "../../test/support/events/facts.ts"
import { on } from "../../test/support/events/facts.ts"
import { rebuild } from "./recovery/fold.ts"
import {
  assignmentOf,
  type CaseState,
  EMPTY_STATE,
  failureCountOf,
  findCase,
  isDeclineReasonMissing,
  isHeldOut,
  owedMinorOf,
  payingSince,
  paymentOf,
  subscriptionOf,
  usedOf,
} from "./state.ts"

const CASE = "payment_in_1"
const failed = make.paymentFailed({ at: on(0) })
const caseOf = (change: Partial<CaseState> = {}): CaseState => {
  const found = findCase(rebuild([failed]), CASE)
  if (found === undefined) throw new Error("no case")
  return { ...found, ...change }
}

test("of a new customer nothing is known: no contact, nothing owed, nothing sent", () => {
  expect(EMPTY_STATE).toEqual({
    profile: {
      hasEmail: false,
      hasPhone: false,
      timeZone: null,
      locale: null,
      isDeleted: false,
      cardAddedAt: null,
      cardUpdatedByProviderAt: null,
    },
    subscriptions: {},
    payments: {},
    cases: [],
    loose: [],
    outreach: { sent: [], clicks: [], incentives: [], optedOutAt: null },
    position: null,
  })
})

describe("a case", () => {
  test("counts an attempt once that invoice and charge both report", () => {
    expect(failureCountOf(caseOf({ invoiceFailures: ["a", "b"], chargeFailures: ["x"] }))).toBe(2)
    expect(failureCountOf(caseOf({ invoiceFailures: [], chargeFailures: ["x", "y", "z"] }))).toBe(3)
  })

  test("owes its amount, or what remains of it, which may be nothing", () => {
    expect(owedMinorOf(caseOf())).toBe(1_999)
    expect(owedMinorOf(caseOf({ remainingMinor: 500 }))).toBe(500)
    expect(owedMinorOf(caseOf({ remainingMinor: 0 }))).toBe(0)
  })

  test.each<[string, Partial<CaseState>, boolean]>([
    ["is not known while no code is", {}, true],
    ["is known by its code", { declineCode: "insufficient_funds" }, false],
    ["is known where the bank asks the member", { needsAuthentication: true }, false],
    ["is not asked for a cancellation", { kind: "cancellation" }, false],
  ])("whose decline reason %s", (_, change, isMissing) => {
    expect(isDeclineReasonMissing(caseOf(change))).toBe(isMissing)
  })

  test("is found by its id, among all", () => {
    const state = rebuild([failed, make.paymentFailed({ at: on(1), invoiceId: "in_2" })])
    expect(findCase(state, "payment_in_2")?.invoiceId).toBe("in_2")
    expect(findCase(state, "payment_in_3")).toBeUndefined()
  })

  test("is held out if it was assigned to that arm, and treated if it was not assigned", () => {
    const assigned = (arm: "treated" | "held_out") => rebuild([failed, make.caseAssigned({ at: on(1), arm })])
    expect(isHeldOut(assigned("held_out"), CASE)).toBe(true)
    expect(isHeldOut(assigned("treated"), CASE)).toBe(false)
    expect(isHeldOut(assigned("held_out"), "payment_in_2")).toBe(false)
    expect(isHeldOut(rebuild([failed]), CASE)).toBe(false)
    expect(assignmentOf(assigned("held_out"), CASE)).toMatchObject({ caseId: CASE, arm: "held_out" })
    expect(assignmentOf(rebuild([failed]), CASE)).toBeUndefined()
  })
})

describe("a subscription is paid", () => {
  const since = (startedAt: string | null, trialEnd: string | null) => {
    const state = rebuild([make.subscription("subscription_started", { at: on(0), startedAt, trialEnd })])
    const subscription = subscriptionOf(state, "sub_1")
    return subscription && payingSince(subscription)
  }

  test.each([
    ["from its start", on(0), null, on(0)],
    ["from the end of its trial", on(0), on(14), on(14)],
    ["from its start, where the trial was over before", on(0), on(-14), on(0)],
    ["from an unknown time, where no start is known", null, on(14), null],
  ])("%s", (_, startedAt, trialEnd, expected) => {
    expect(since(startedAt, trialEnd)).toBe(expected)
  })
})

test("usage is the total of a meter, and none of one that is not known", () => {
  const used = (meter: string, id: string) =>
    ({ id, occurredAt: on(0), kind: "usage_recorded", meter, quantity: 3, subscriptionId: null }) as const
  const state = rebuild([used("logins", "a"), used("logins", "b")])
  expect(["logins", "exports", "constructor"].map((meter) => usedOf(state, meter))).toEqual([6, 0, 0])
  expect(usedOf(EMPTY_STATE, "logins")).toBe(0)
})

describe("a record is found by an id from outside", () => {
  const state = rebuild([failed, make.subscription("subscription_started", { at: on(0) })])

  test("and by no id there is none, even if one is called null", () => {
    expect(paymentOf(rebuild([make.paymentFailed({ at: on(0), invoiceId: "null" })]), null)).toBeUndefined()
  })

  test("if it exists", () => {
    expect(paymentOf(state, "in_1")?.amountMinor).toBe(1_999)
    expect(subscriptionOf(state, "sub_1")?.status).toBe("active")
  })

  test.each([null, "in_2", "constructor", "__proto__", "toString"])("and not by %s", (id) => {
    expect(paymentOf(state, id)).toBeUndefined()
    expect(subscriptionOf(state, id)).toBeUndefined()
  })
})
