import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { DEFAULT_SETTINGS } from "../../settings.ts"
import { findCase } from "../../state.ts"
import { causeOf } from "../cause.ts"
import { decide, type ReachableChannels } from "../decide.ts"
import { rebuild } from "../fold.ts"

const CASE = "at_risk_sub_1"
const started = make.subscription("subscription_started", { at: on(0) })
const mailed = make.customerSeen({ at: on(0), hasEmail: true })
const feared = make.riskDetected({ at: on(5) })
const caseAfter = (...facts: Fact[]) => findCase(rebuild([started, feared, ...facts]), CASE)

describe("an at-risk case", () => {
  test("opens with the amount of one period, the probability and the end of the horizon", () => {
    expect(caseAfter()).toMatchObject({
      ...{ kind: "at_risk", status: "open", openedAt: on(5), amountMinor: 1_999, currency: "usd", recoveredMinor: 0 },
      risk: { probability: 0.3, until: on(35) },
    })
  })

  test.each<[string, Fact, string, string]>([
    ["its time is over", make.riskPassed({ at: on(35) }), "recovered", "stayed"],
    ["the score has fallen", make.riskPassed({ at: on(9), why: "fell" }), "recovered", "risk_fell"],
    ["the subscription ends", make.subscriptionEnded({ at: on(9) }), "lost", "subscription_ended"],
    ["the leaving is announced", make.cancellationAnnounced({ at: on(9) }), "lost", "cancellation_announced"],
    [
      "the provider gives up",
      make.subscription("subscription_changed", { at: on(9), status: "unpaid" }),
      "lost",
      "provider_gave_up",
    ],
    ["a person puts it aside", make.closedByOperator({ at: on(9), caseId: CASE }), "lost", "closed_by_operator"],
  ])("ends when %s, and its end is final", (_, end, status, cause) => {
    for (const facts of [[end], [end, make.riskPassed({ at: on(40) }), make.subscriptionEnded({ at: on(41) })]]) {
      const state = rebuild([started, feared, ...facts])
      expect(findCase(state, CASE)).toMatchObject({ status, closedAt: end.occurredAt, recoveredMinor: 0 })
      const found = findCase(state, CASE)
      expect(found && causeOf(found, state)).toBe(cause)
    }
  })

  test("is never attributed to a message: the member may have stayed anyway", () => {
    const sent = make.nudgeSent({ at: on(5), caseId: CASE, nudgeId: `${CASE}.0.email` })
    const state = rebuild([started, feared, sent, make.riskPassed({ at: on(6), why: "fell" })])
    const found = findCase(state, CASE)
    expect(found && causeOf(found, state)).toBe("risk_fell")
  })

  test.each<[string, Fact[]]>([
    ["whose subscription has ended", [make.subscriptionEnded({ at: on(4) })]],
    ["whose end is announced", [make.cancellationAnnounced({ at: on(4) })]],
    ["who is at risk already", [make.riskDetected({ at: on(4), caseId: "at_risk_before" })]],
  ])("is not opened for a member %s, whichever was told first", (_, before) => {
    expect(findCase(rebuild([started, feared, ...before]), CASE)).toBeUndefined()
  })

  test("of an unknown subscription is not opened", () => {
    expect(rebuild([feared]).cases).toEqual([])
  })
})

describe("its messages", () => {
  const STRIPE: ReachableChannels = { provider: "stripe", configured: ["email"] }
  const planned = (facts: readonly Fact[]) =>
    decide(rebuild([mailed, started, feared, ...facts]), [], DEFAULT_SETTINGS, STRIPE, on(6)).flatMap((action) =>
      action.kind === "plan_nudge" && action.nudge.caseId === CASE ? [action.nudge] : [],
    )

  test("are planned as its playbook says", () => {
    expect(planned([]).map(({ step, status }) => [step, status])).toEqual([
      [0, "planned"],
      [2, "planned"],
      [4, "planned"],
    ])
  })

  test("wait while a bill is open, and are planned when it is paid", () => {
    const failed = make.paymentFailed({ at: on(5) })
    expect(new Set(planned([failed]).map(({ reason }) => reason))).toEqual(new Set(["other_case"]))
    expect(planned([failed, make.paymentSucceeded({ at: on(6) })]).every(({ status }) => status === "planned")).toBe(
      true,
    )
  })
})
