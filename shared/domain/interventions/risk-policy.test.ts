import fc from "fast-check"
import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact, Instant } from "../facts.ts"
import { rebuild } from "../recovery/fold.ts"
import type { Nudge } from "../recovery/nudges.ts"
import { findCase } from "../state.ts"
import {
  DEFAULT_RISK_POLICY,
  decideRisk,
  expectedValueMinor,
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

  test("when a newer score is at most half of the opening one, or the period has passed", () => {
    expect(closeReason(on(7), { probability: 0.15, asOf: on(6) })).toBe("fell")
    expect(closeReason(on(7), { probability: 0.16, asOf: on(6) })).toBeNull()
    expect(closeReason(on(7), { probability: 0.01, asOf: on(4) })).toBeNull()
    expect(closeReason(on(7), null)).toBeNull()
    expect(closeReason(on(35), { probability: 0.9, asOf: on(30) })).toBe("stayed")
  })
})
