import { describe, expect, test } from "vitest"
import * as make from "../../test/support/events/facts.ts"
import { on } from "../../test/support/events/facts.ts"
import {
  CHANNELS,
  comparePositions,
  type FactKind,
  inLedgerOrder,
  laterOf,
  PROVIDERS,
  positionOf,
  rankOf,
  UNKNOWN_MONEY,
} from "./facts.ts"

/** Every kind, as facts of one second are ordered. Stored ranks depend on it. */
const IN_ORDER: readonly FactKind[] = [
  "customer_seen",
  "usage_recorded",
  "ticket_opened",
  "ticket_closed",
  "payment_method_added",
  "payment_method_updated_by_provider",
  "subscription_started",
  "trial_ending",
  "subscription_changed",
  "subscription_paused",
  "cancellation_announced",
  "subscription_resumed",
  "subscription_not_found",
  "invoice_reissued",
  "payment_pending",
  "payment_action_required",
  "payment_failed",
  "payment_canceled",
  "invoice_part_paid",
  "invoice_credited",
  "invoice_changed",
  "payment_succeeded",
  "invoice_uncollectible",
  "invoice_voided",
  "payment_refunded",
  "dispute_opened",
  "dispute_closed",
  "refund_failed",
  "subscription_ended",
  "risk_detected",
  "risk_passed",
  "case_lapsed",
  "variant_assigned",
  "case_assigned",
  "incentive_applied",
  "nudge_planned",
  "nudge_suppressed",
  "nudge_failed",
  "nudge_sent",
  "link_clicked",
  "opted_out",
  "case_closed_by_operator",
]

describe("facts of one second are ordered by kind", () => {
  test("causes before effects, and each kind has a rank of its own", () => {
    expect([...IN_ORDER].sort((a, b) => rankOf(a) - rankOf(b))).toEqual(IN_ORDER)
    expect(new Set(IN_ORDER.map(rankOf)).size).toBe(IN_ORDER.length)
  })

  test("with ranks that never change, because they are stored", () => {
    const stored = {
      customer_seen: 0,
      subscription_started: 20,
      payment_failed: 31,
      payment_succeeded: 40,
      opted_out: 76,
    }
    expect(Object.fromEntries(Object.keys(stored).map((kind) => [kind, rankOf(kind as FactKind)]))).toEqual(stored)
  })
})

describe("the position of a fact", () => {
  test("is its time, its rank and its id", () => {
    expect(positionOf(make.cardAdded({ at: on(1), id: "x" }))).toEqual({ occurredAt: on(1), rank: 10, id: "x" })
  })

  test.each([
    ["the earlier time", on(1), 40, "b", on(2), 10, "a"],
    ["of one time the lower rank", on(1), 10, "b", on(1), 40, "a"],
    ["of one time and rank the lower id, by code unit", on(1), 10, "B", on(1), 10, "a"],
  ])("comes first with %s", (_, occurredAt, rank, id, otherAt, otherRank, otherId) => {
    const first = { occurredAt, rank, id }
    const second = { occurredAt: otherAt, rank: otherRank, id: otherId }
    expect(comparePositions(first, second)).toBeLessThan(0)
    expect(comparePositions(second, first)).toBeGreaterThan(0)
    expect(comparePositions(first, { ...first })).toBe(0)
  })
})

test("the ledger has each fact once, in order", () => {
  const [early, late] = [make.cardAdded({ at: on(1), id: "b" }), make.cardAdded({ at: on(2), id: "a" })]
  const sameTime = make.paymentSucceeded({ at: on(1), id: "0" })
  expect(inLedgerOrder([late, sameTime, early, late])).toEqual([early, sameTime, late])
})

test("the later of two moments", () => {
  expect([laterOf(on(1), on(2)), laterOf(on(2), on(1)), laterOf(on(1), on(1))]).toEqual([on(2), on(2), on(1)])
})

test("an amount that no event states is null in both parts", () => {
  expect(UNKNOWN_MONEY).toEqual({ amountMinor: null, currency: null })
})

test("facts come from Stripe and Whop", () => {
  expect(PROVIDERS).toEqual(["stripe", "whop"])
})

test("channels are those to the member, and Slack", () => {
  expect(CHANNELS).toEqual(["email", "sms", "push", "dm", "slack"])
})
