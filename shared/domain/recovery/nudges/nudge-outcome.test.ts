import { describe, expect, test } from "vitest"
import { DEFAULT_SETTINGS } from "../../settings.ts"
import { EMPTY_STATE } from "../../state.ts"
import {
  type Attempt,
  planAddressWait,
  planDeferral,
  planSettle,
  planSuppression,
  type Settlement,
} from "./nudge-outcome.ts"
import type { Nudge } from "./nudges.ts"

const NOW = "2026-06-01T12:00:00.000Z"

const nudge = (more: Partial<Nudge> = {}): Nudge => ({
  id: "case.0.email",
  caseId: "case",
  step: 0,
  channel: "email",
  status: "sending",
  reason: null,
  incentive: null,
  dueAt: NOW,
  attempts: 1,
  sentAt: NOW,
  ...more,
})

/** A member with an e-mail address and a phone number; both channels are configured. */
const STATE = { ...EMPTY_STATE, profile: { ...EMPTY_STATE.profile, hasEmail: true, hasPhone: true } }

const settle = (attempt: Attempt, more: Partial<Settlement> = {}) =>
  planSettle({
    attempt,
    nudge: nudge(),
    others: [],
    state: STATE,
    settings: { ...DEFAULT_SETTINGS, channelOrder: ["email", "sms"] },
    reach: { provider: "stripe", configured: ["email", "sms"] },
    applied: [],
    isProviderAway: false,
    now: NOW,
    ...more,
  })

const kinds = ({ facts }: { readonly facts: readonly { readonly kind: string }[] }) => facts.map(({ kind }) => kind)

describe("how an attempt ended", () => {
  test("sent: the receipt is a fact", () => {
    const plan = settle({ kind: "sent", providerMessageId: "msg_1" })
    expect(plan).toMatchObject({ outcome: "sent", change: { status: "sent", sentAt: NOW }, postponed: null })
    expect(plan.facts).toMatchObject([{ kind: "nudge_sent", providerMessageId: "msg_1", caseId: "case" }])
    const own = { template: { id: "t", version: 3 }, branding: 2 }
    expect(settle({ kind: "sent", providerMessageId: "msg_1", ...own }).facts).toEqual([{ ...plan.facts[0], ...own }])
  })

  test("switched off: planned again, and the attempt does not count", () => {
    const plan = settle({ kind: "switched_off" })
    const change = { status: "planned", reason: "switched_off", attempts: 0, sentAt: null }
    expect(plan).toMatchObject({ outcome: "switched_off", change, facts: [], postponed: { id: "case.0.email" } })
  })

  test("retry: planned again, no earlier than the service requested", () => {
    const plan = settle({ kind: "retry", reason: "rate_limited", retryAfterMs: 3 * 3_600_000 })
    expect(plan.outcome).toBe("retry")
    expect(plan.postponed).toMatchObject({ dueAt: "2026-06-01T15:00:00.000Z", status: "planned", sentAt: null })
  })

  test("refused: the next channel takes over in the same write", () => {
    const plan = settle({ kind: "refused", reason: "bounced" })
    expect(plan).toMatchObject({ outcome: "failed", change: { status: "failed", sentAt: null } })
    expect(plan.fallback).toMatchObject({ channel: "sms", step: 0, status: "planned" })
    expect(kinds(plan)).toEqual(["nudge_failed", "nudge_planned"])
  })

  test("refused on the last channel: nothing follows", () => {
    const plan = settle(
      { kind: "refused", reason: "bounced" },
      { others: [nudge({ id: "case.0.sms", channel: "sms" })] },
    )
    expect(plan).toMatchObject({ outcome: "failed", fallback: null, postponed: null })
  })

  test("refused because the member opted out: recorded, and no other channel is tried", () => {
    const plan = settle({ kind: "refused", reason: "opted_out" })
    expect(kinds(plan)).toEqual(["nudge_failed", "opted_out"])
    expect(plan.fallback).toBeNull()
  })

  test("unknown: never sent again, on no channel, and it counts as sent", () => {
    const plan = settle({ kind: "unknown", reason: "timeout" })
    expect(plan).toMatchObject({ outcome: "unknown", change: { status: "unknown" }, fallback: null, postponed: null })
    expect(plan.change).not.toHaveProperty("sentAt")
    expect(plan.facts).toMatchObject([{ kind: "nudge_failed", isUnknown: true }])
  })

  const spent: Attempt = { kind: "retry", reason: "away", retryAfterMs: null }

  test("out of attempts: the next channel takes over", () => {
    expect(settle(spent, { nudge: nudge({ attempts: 5 }) }).fallback).toMatchObject({ channel: "sms" })
  })

  test("out of attempts on the only channel: hourly retries for two days", () => {
    const only = { reach: { provider: "stripe", configured: ["email"] } } as const
    const plan = settle(spent, { ...only, nudge: nudge({ attempts: 47 }) })
    expect(plan.postponed).toMatchObject({ dueAt: "2026-06-01T13:00:00.000Z" })
    expect(settle(spent, { ...only, nudge: nudge({ attempts: 48 }) })).toMatchObject({
      outcome: "failed",
      postponed: null,
    })
  })

  test("another channel would wait for the same provider", () => {
    const plan = settle(spent, { nudge: nudge({ attempts: 5 }), isProviderAway: true })
    expect(plan).toMatchObject({ outcome: "retry", fallback: null })
  })

  test("the receipt of an incentive is written for any outcome of the message", () => {
    const applied = [
      {
        kind: "incentive_applied",
        id: "incentive_applied:case.0",
        occurredAt: NOW,
        caseId: "case",
        incentive: { kind: "free_days", days: 3 },
        providerReceiptId: null,
      },
    ] as const
    const attempts: readonly Attempt[] = [
      { kind: "sent", providerMessageId: null },
      { kind: "switched_off" },
      { kind: "retry", reason: "away", retryAfterMs: null },
      { kind: "refused", reason: "bounced" },
      { kind: "unknown", reason: "timeout" },
    ]
    for (const attempt of attempts) expect(settle(attempt, { applied }).facts[0]).toEqual(applied[0])
  })
})

describe("a nudge that is not sent now", () => {
  test("suppressed before it was marked: when it was sent stays as it was", () => {
    const plan = planSuppression(STATE, nudge({ status: "planned", sentAt: null }), "case_closed", NOW)
    expect(plan.change).toEqual({ status: "suppressed", reason: "case_closed" })
    expect(kinds(plan)).toEqual(["nudge_suppressed"])
  })

  test("suppressed after it was marked: it was not sent after all", () => {
    expect(planSuppression(STATE, nudge(), "case_closed", NOW).change).toMatchObject({ sentAt: null })
  })

  test("an opt-out as another customer is recorded for this one, once", () => {
    expect(kinds(planSuppression(STATE, nudge(), "opted_out", NOW))).toEqual(["opted_out", "nudge_suppressed"])
    const opted = { ...STATE, outreach: { ...STATE.outreach, optedOutAt: NOW } }
    expect(kinds(planSuppression(opted, nudge(), "opted_out", NOW))).toEqual(["nudge_suppressed"])
  })

  test("deferred after it was marked: the attempt does not count", () => {
    const until = "2026-06-02T08:00:00.000Z"
    const plan = planDeferral(nudge(), { until, reason: "quiet_hours" })
    expect(plan.change).toEqual({ status: "planned", reason: "quiet_hours", attempts: 0, sentAt: null, dueAt: until })
    expect(plan.postponed).toMatchObject({ dueAt: until, attempts: 0 })
    const before = planDeferral(nudge({ status: "planned", sentAt: null }), { until, reason: "quiet_hours" })
    expect(before.change).toEqual({ dueAt: until, reason: "quiet_hours" })
  })

  test("waits for an address that is not stored yet, and the attempt counts", () => {
    const until = "2026-06-01T12:00:15.000Z"
    const change = { dueAt: until, reason: "address_pending", attempts: 1 }
    expect(planAddressWait(nudge({ status: "planned", attempts: 0 }), until)).toMatchObject({
      ...{ outcome: "deferred", change, facts: [], fallback: null, postponed: { id: "case.0.email", ...change } },
    })
  })

  test("is reported as suppressed or deferred, with the receipts so far", () => {
    const until = "2026-06-02T08:00:00.000Z"
    expect(planSuppression(STATE, nudge(), "case_closed", NOW)).toMatchObject({
      outcome: "suppressed",
      postponed: null,
    })
    expect(planDeferral(nudge(), { until, reason: "quiet_hours" })).toMatchObject({ outcome: "deferred", facts: [] })
  })
})

test("facts about a nudge have an id of their own, so that a repeated write adds none", () => {
  const refused = { kind: "refused", reason: "bounced" } as const
  const facts = [
    ...settle({ kind: "sent", providerMessageId: null }).facts,
    ...settle(refused).facts,
    ...settle({ ...refused, reason: "opted_out" }).facts,
    ...planSuppression(STATE, nudge(), "opted_out", NOW).facts,
  ]
  expect(facts.map((fact) => [fact.id, "via" in fact ? fact.via : null])).toEqual([
    ["nudge_sent:case.0.email", null],
    ["nudge_failed:case.0.email", null],
    [`nudge_planned:case.0.sms:${NOW}`, null],
    ["nudge_failed:case.0.email", null],
    ["opted_out:case.0.email", "channel"],
    ["opted_out:case.0.email:address", "address"],
    [`nudge_suppressed:case.0.email:${NOW}`, null],
  ])
})
