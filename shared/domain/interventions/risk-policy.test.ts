import fc from "fast-check"
import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact, Instant, SubscriptionSnapshot } from "../facts.ts"
import { rebuild } from "../recovery/fold.ts"
import type { Nudge } from "../recovery/nudges/nudges.ts"
import { findCase, type SubscriptionState } from "../state.ts"
import {
  DEFAULT_RISK_POLICY,
  decideRisk,
  expectedValueMinor,
  highestPriced,
  type RiskPolicy,
  type RiskScore,
  riskCloseReason,
} from "./risk-policy.ts"

const score: RiskScore = {
  ...{ predictionId: "p", modelVersion: "m", asOf: on(9), probability: 0.4, learnedUplift: null },
}
const started = make.subscription("subscription_started", { at: on(0) })

interface Situation {
  readonly facts?: readonly Fact[]
  readonly nudges?: readonly Nudge[]
  readonly score?: Partial<RiskScore>
  readonly policy?: Partial<RiskPolicy>
  readonly now?: Instant
}

const decided = ({ facts = [], nudges = [], now = on(10), ...given }: Situation) =>
  decideRisk(
    rebuild([started, ...facts]),
    nudges,
    { ...score, ...given.score },
    { ...DEFAULT_RISK_POLICY, ...given.policy },
    now,
  )
const reasonOf = (situation: Situation) => {
  const decision = decided(situation)
  return decision.kind === "open" ? "open" : decision.reason
}

const sent = (at: Instant, more: Partial<Nudge> = {}): Nudge => ({
  ...{ id: "payment_x.0.email", caseId: "payment_x", step: 0, channel: "email", status: "sent", reason: null },
  ...{ incentive: null, dueAt: at, attempts: 1, sentAt: at },
  ...more,
})

describe("the expected value of contact", () => {
  test("is the drop in risk times the margin of the months that a member stays, minus the cost", () => {
    // 0.04 × 19.99 × 6 months × 70 % = 3.358; a dollar for the contact.
    expect(expectedValueMinor(0.04, 1_999, DEFAULT_RISK_POLICY)).toBe(235)
    expect(decided({})).toMatchObject({
      kind: "open",
      fact: {
        ...{ caseId: "at_risk_sub_1_20260312", subscriptionId: "sub_1", probability: 0.4, upliftSource: "assumed" },
        ...{ expectedValueMinor: 235, occurredAt: on(10), until: on(40) },
      },
    })
  })

  test("does not rise with a higher cost, a cheaper plan, a smaller risk or a smaller uplift", () => {
    const amount = fc.integer({ min: 0, max: 1_000_000 })
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(share, share, amount, amount, amount, (a, b, first, second, cost) => {
        const policy = { ...DEFAULT_RISK_POLICY, contactCostMinor: cost }
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        const [less, more] = [Math.min(first, second), Math.max(first, second)]
        expect(expectedValueMinor(low, less, policy)).toBeLessThanOrEqual(expectedValueMinor(high, more, policy))
        expect(Number.isSafeInteger(expectedValueMinor(high, more, policy))).toBe(true)
      }),
      { seed: 3, numRuns: 300 },
    )
  })
})

describe("a member is skipped", () => {
  test.each<[string, string, Situation]>([
    ["whom contact drives away", "contact_drives_away", { score: { learnedUplift: -0.01 } }],
    ["with whom contact changes nothing", "contact_drives_away", { score: { learnedUplift: 0 } }],
    ["if contact costs more than its expected value", "not_worth_it", { policy: { contactCostMinor: 400 } }],
    ["with a low risk", "not_worth_it", { score: { probability: 0.01 } }],
    ["who has left", "no_subscription", { facts: [make.subscriptionEnded({ at: on(5) })] }],
    [
      "who is in a trial",
      "no_subscription",
      { facts: [make.subscription("subscription_changed", { at: on(1), status: "trialing" })] },
    ],
    [
      "who announced a cancellation, with the case closed",
      "nothing_to_keep",
      {
        facts: [
          make.cancellationAnnounced({ at: on(5) }),
          make.closedByOperator({ at: on(6), caseId: "cancellation_sub_1_1" }),
        ],
      },
    ],
    ["with an open payment case", "case_open", { facts: [make.paymentFailed({ at: on(5) })] }],
    ["who opted out", "opted_out", { facts: [make.optedOut({ at: on(5) })] }],
    ["who is deleted", "customer_deleted", { facts: [make.customerSeen({ at: on(5), deleted: true })] }],
    ["who had a message a week ago", "at_rest", { nudges: [sent(on(3))] }],
    ["who may have had one", "at_rest", { nudges: [sent(on(3), { status: "unknown" })] }],
    [
      "whose case ended a week ago",
      "at_rest",
      {
        facts: [make.riskDetected({ at: on(1) }), make.riskPassed({ at: on(3) })],
      },
    ],
  ])("%s", (_, reason, situation) => {
    expect(reasonOf(situation)).toBe(reason)
  })

  test("no longer after the rest period, or if only the team got a message", () => {
    expect(reasonOf({ nudges: [sent(on(3))], now: on(20) })).toBe("open")
    expect(reasonOf({ nudges: [sent(on(9), { channel: "slack" })] })).toBe("open")
  })

  test("once the case is open: a repeated decision opens no second one", () => {
    const first = decided({})
    if (first.kind !== "open") throw new Error("nothing was opened")
    expect(reasonOf({ facts: [first.fact] })).toBe("case_open")
  })
})

describe("the case", () => {
  const factOf = (situation: Situation) => {
    const decision = decided(situation)
    if (decision.kind !== "open") throw new Error(`skipped: ${decision.reason}`)
    return decision.fact
  }

  test("records the score and what was expected of contact", () => {
    expect(factOf({})).toEqual({
      ...{ kind: "risk_detected", id: "risk_detected:at_risk_sub_1_20260312", occurredAt: on(10) },
      ...{ caseId: "at_risk_sub_1_20260312", subscriptionId: "sub_1", probability: 0.4 },
      ...{ uplift: 0.4 * 0.1, upliftSource: "assumed", expectedValueMinor: 235 },
      ...{ predictionId: "p", modelVersion: "m", asOf: on(9), until: on(40) },
    })
  })

  test("is of the subscription with the highest monthly price that gives access", () => {
    const of = (subscriptionId: string, unitAmountMinor: number, given: Partial<SubscriptionSnapshot> = {}) =>
      make.subscription("subscription_started", {
        ...{ at: on(1), subscriptionId, items: [{ ...make.MONTHLY, unitAmountMinor }] },
        ...given,
      })
    expect(factOf({ facts: [of("sub_0", 1_000), of("sub_2", 9_900)] }).subscriptionId).toBe("sub_2")
    const trial = of("sub_2", 9_900, { status: "trialing" })
    expect(factOf({ facts: [of("sub_0", 1_000), trial] }).subscriptionId).toBe("sub_1")
  })

  test("is opened after the member had no message for the rest period, to the second", () => {
    expect(reasonOf({ nudges: [sent(on(1))], now: on(15) })).toBe("open")
    expect(reasonOf({ nudges: [sent(on(1, "10:00:01"))], now: on(15) })).toBe("at_rest")
  })

  test("waits for a message that is being sent, by the time at which it was due", () => {
    const sending = sent(on(3), { status: "sending", sentAt: null })
    expect(reasonOf({ nudges: [sending] })).toBe("at_rest")
    expect(reasonOf({ nudges: [sending], now: on(30) })).toBe("open")
    expect(reasonOf({ nudges: [sent(on(3), { status: "planned", sentAt: null })] })).toBe("open")
    expect(reasonOf({ nudges: [sent(on(12), { sentAt: on(2) })], now: on(17) })).toBe("open")
  })

  test("waits after an at-risk case, not after another one", () => {
    const recovered = [make.paymentFailed({ at: on(8) }), make.paymentSucceeded({ at: on(9) })]
    expect(reasonOf({ facts: recovered })).toBe("open")
    const passed = [make.riskDetected({ at: on(1) }), make.riskPassed({ at: on(3) })]
    expect(reasonOf({ facts: passed, now: on(17) })).toBe("open")
    expect(reasonOf({ facts: passed, now: on(16) })).toBe("at_rest")
  })
})

describe("a member with nothing to keep is skipped", () => {
  const priced = (unitAmountMinor: number | null) =>
    make.subscription("subscription_changed", { at: on(1), items: [{ ...make.MONTHLY, unitAmountMinor }] })

  test("because the plan is free", () => {
    expect(reasonOf({ facts: [priced(0)], policy: { contactCostMinor: 0 } })).toBe("nothing_to_keep")
  })

  test("because no price is known", () => {
    const facts = [make.subscription("subscription_started", { at: on(1), items: [], subscriptionId: "sub_2" })]
    const unknown = decideRisk(rebuild(facts), [], score, DEFAULT_RISK_POLICY, on(10))
    expect(unknown).toEqual({ kind: "skip", reason: "nothing_to_keep" })
  })

  test("unless the expected value is above zero, however small", () => {
    const uplift = 100 / (1_999 * 6 * 0.7)
    expect(reasonOf({ score: { learnedUplift: uplift } })).toBe("not_worth_it")
    expect(reasonOf({ score: { learnedUplift: uplift * 1.02 } })).toBe("open")
  })
})

describe("the subscription with the highest monthly price", () => {
  const of = (id: string, unitAmountMinor: number | null) =>
    ({ id, items: [{ ...make.MONTHLY, unitAmountMinor }] }) as unknown as SubscriptionState

  test.each<[string, readonly SubscriptionState[], string | undefined]>([
    ["is the dearest", [of("a", 100), of("b", 300), of("c", 200)], "b"],
    ["is the first by id of equal ones", [of("b", 100), of("a", 100), of("c", 100)], "a"],
    ["is free rather than unknown", [of("a", null), of("b", 0)], "b"],
    ["is free rather than unknown, in any order", [of("b", 0), of("a", null)], "b"],
    ["is none of none", [], undefined],
  ])("%s", (_, subscriptions, id) => {
    expect(highestPriced(subscriptions)?.id).toBe(id)
  })
})

test("a learned uplift takes precedence over the assumed one", () => {
  expect(decided({ score: { probability: 0.05, learnedUplift: 0.2 } })).toMatchObject({
    fact: { uplift: 0.2, upliftSource: "learned", expectedValueMinor: 1_579 },
  })
})

test("a fact never precedes the last fact of the ledger", () => {
  const ahead = make.subscription("subscription_changed", { at: on(11) })
  expect(decided({ facts: [ahead] })).toMatchObject({ fact: { occurredAt: on(11) } })
})

describe("an at-risk case closes", () => {
  const closeReason = (now: Instant, newest: { probability: number; asOf: Instant } | null) => {
    const state = rebuild([started, make.riskDetected({ at: on(5) })])
    const recoveryCase = findCase(state, "at_risk_sub_1")
    if (!recoveryCase) throw new Error("no case")
    return riskCloseReason(state, recoveryCase, newest, now)?.why ?? null
  }

  test("by a fact that names the case and the reason, and never precedes the ledger", () => {
    const opened = make.riskDetected({ at: on(5) })
    const close = (facts: readonly Fact[], now: Instant) => {
      const state = rebuild([started, ...facts])
      const recoveryCase = findCase(state, "at_risk_sub_1")
      return recoveryCase && riskCloseReason(state, recoveryCase, null, now)
    }
    const passed = { kind: "risk_passed", id: "risk_passed:at_risk_sub_1", caseId: "at_risk_sub_1", why: "stayed" }
    expect(close([opened], on(36))).toEqual({ ...passed, occurredAt: on(36) })
    const ahead = make.subscription("subscription_changed", { at: on(37) })
    expect(close([opened, ahead], on(36))).toEqual({ ...passed, occurredAt: on(37) })
    expect(close([opened, make.riskPassed({ at: on(6) })], on(36))).toBeNull()
    expect(close([opened], on(34))).toBeNull()
  })

  test("only if it is an at-risk case", () => {
    const state = rebuild([make.paymentFailed({ at: on(5) })])
    const recoveryCase = state.cases[0]
    expect(recoveryCase && riskCloseReason(state, recoveryCase, { probability: 0, asOf: on(9) }, on(99))).toBeNull()
  })

  test("by a score that is newer than its opening, not by the one that opened it", () => {
    expect(closeReason(on(7), { probability: 0.01, asOf: on(5) })).toBeNull()
    expect(closeReason(on(7), { probability: 0.01, asOf: on(5, "10:00:01") })).toBe("fell")
  })

  test("when a newer score is at most half of the opening one, or the period has passed", () => {
    expect(closeReason(on(7), { probability: 0.15, asOf: on(6) })).toBe("fell")
    expect(closeReason(on(7), { probability: 0.16, asOf: on(6) })).toBeNull()
    expect(closeReason(on(7), { probability: 0.01, asOf: on(4) })).toBeNull()
    expect(closeReason(on(7), null)).toBeNull()
    expect(closeReason(on(35), { probability: 0.9, asOf: on(30) })).toBe("stayed")
  })
})
