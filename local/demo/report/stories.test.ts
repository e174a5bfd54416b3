import { expect, test } from "vitest"
import type { CaseStory } from "./figures.ts"
import { chooseCases, linesOf } from "./stories.ts"

const fact = (kind: string, at: string, more: object = {}) => ({ kind, occurredAt: `2026-11-${at}:00Z`, ...more })

const story = (change: Partial<CaseStory>): CaseStory => ({
  ...{ id: "payment_1", kind: "payment", status: "recovered", cause: "nudge", customerId: "cus_1", heldOut: false },
  ...{ amountMinor: 2_900, recoveredMinor: 2_900, currency: "usd", declineCode: null },
  ...{ openedAt: "2026-11-01T10:00:00Z", closedAt: "2026-11-03T09:00:00Z" },
  timeline: [
    fact("payment_failed", "01T10:00"),
    fact("payment_failed", "01T10:00", { declineCode: "expired_card" }),
    fact("case_assigned", "01T10:01", { arm: "treated" }),
    fact("nudge_planned", "01T10:01", { channel: "email", step: 0 }),
    fact("nudge_sent", "01T10:02", { channel: "email", step: 0 }),
    fact("link_clicked", "03T08:59"),
    fact("payment_succeeded", "03T09:00"),
  ],
  ...change,
})

test("a story says what failed, what was sent when, what the member did and what came of it", () => {
  expect(linesOf(story({}))).toEqual([
    "2026-11-01 10:00  the payment failed: expired card",
    "2026-11-01 10:02  message sent by email, day 0",
    "2026-11-03 08:59  the member opened the link",
    "2026-11-03 09:00  the payment succeeded",
    "2026-11-03 09:00  recovered $29.00, cause: nudge",
  ])
})

test("a score is told with the reasons that raise it most", () => {
  const risk = fact("risk_detected", "01T10:00", { probability: 0.104, predictionId: "p1" })
  const reasons = [
    { label: "days as a paying customer", logOdds: -0.4 },
    { label: "support tickets not closed", logOdds: 0.1 },
    { label: "decline of usage over 4 weeks", logOdds: 0.9 },
    { label: "no usage in 4 weeks", logOdds: 0.3 },
  ]
  const [line] = linesOf(story({ kind: "at_risk", timeline: [risk] }), new Map([["p1", reasons]]))
  expect(line).toBe("2026-11-01 10:00  10 % likely to leave: decline of usage over 4 weeks, no usage in 4 weeks")
})

test("an open case says so", () => {
  const open = story({ status: "open", cause: null, closedAt: null, recoveredMinor: 0, timeline: [] })
  expect(linesOf(open)).toEqual(["now               still open"])
})

test("three cases of different kinds are told, each once", () => {
  const offered = story({ id: "payment_2", timeline: [fact("incentive_applied", "05T10:00")], cause: "provider_retry" })
  const atRisk = story({ id: "at_risk_1", kind: "at_risk", cause: null })
  const other = story({ id: "payment_0", status: "lost", cause: "provider_gave_up" })
  expect(chooseCases([other, atRisk, offered, story({})]).map(({ id }) => id)).toEqual([
    "payment_1",
    "payment_2",
    "at_risk_1",
  ])
})

test("without such cases, the longest stories are told", () => {
  const lost = (id: string, facts: number) =>
    story({ id, cause: "provider_gave_up", timeline: Array(facts).fill(fact("payment_failed", "01T10:00")) })
  expect(chooseCases([lost("a", 1), lost("b", 3), lost("c", 2), lost("d", 4)]).map(({ id }) => id)).toEqual([
    "d",
    "b",
    "c",
  ])
  expect(chooseCases([])).toEqual([])
})
