import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { EMPTY_STATE } from "../../state.ts"
import { fold } from "../fold.ts"
import { OUTREACH_BOUNDS } from "./outreach.ts"

/** In the order given: these facts come in any. */
const outreachAfter = (...facts: readonly Fact[]) => fold(facts).outreach

test("one fact of each kind is one entry", () => {
  const entry = { id: "a", caseId: "payment_in_1", at: on(1) }
  expect(
    outreachAfter(
      make.caseAssigned({ at: on(1), id: "a", arm: "treated", percentage: 10 }),
      make.variantAssigned({ at: on(1), id: "a", experimentId: "e", variant: "short" }),
      make.nudgeSent({ at: on(1), id: "a", channel: "sms" }),
      make.linkClicked({ at: on(1), id: "a" }),
      make.incentiveApplied({ at: on(1), id: "a" }),
      make.optedOut({ at: on(1), id: "a" }),
    ),
  ).toStrictEqual({
    assignments: [{ ...entry, arm: "treated", percentage: 10 }],
    variants: [{ ...entry, experimentId: "e", variant: "short" }],
    sent: [{ ...entry, channel: "sms" }],
    clicks: [entry],
    incentives: [{ ...entry, incentive: { kind: "discount", percentOff: 20, months: 2 } }],
    optedOutAt: on(1),
  })
})

const STAMP = { id: "n", occurredAt: on(1) }
const NUDGE = { ...STAMP, nudgeId: "payment_in_1.0.email", caseId: "payment_in_1", step: 0, channel: "email" } as const

test.each<[string, Fact]>([
  ["planned", { kind: "nudge_planned", ...NUDGE, dueAt: on(2) }],
  ["suppressed", { kind: "nudge_suppressed", ...NUDGE, reason: "case_closed" }],
  ["failed", { kind: "nudge_failed", ...NUDGE, reason: "refused", isUnknown: false }],
])("a nudge that was %s is in the ledger only", (_, fact) => {
  expect(outreachAfter(fact)).toBe(EMPTY_STATE.outreach)
})

test.each([
  ["the first of two opt-outs counts", [2, 1]],
  ["in any order", [1, 2]],
  ["also where a third is later", [2, 1, 3]],
] as const)("%s", (_, days) => {
  expect(outreachAfter(...days.map((day) => make.optedOut({ at: on(day) }))).optedOutAt).toBe(on(1))
})

describe("entries", () => {
  const order = ["2 d", "1 b", "3 a", "1 c", "1 b", "2 a"]
  const sent = (text: string) => make.nudgeSent({ at: on(Number(text[0])), id: text })

  test.each([
    ["as they came", order],
    ["in reverse", order.toReversed()],
    ["sorted", order.toSorted()],
  ])("are listed once each, by time and then id: %s", (_, ids) => {
    expect(outreachAfter(...ids.map(sent)).sent.map(({ id }) => id)).toEqual(["1 b", "1 c", "2 a", "2 d", "3 a"])
  })

  test("are kept up to their bound, the newest, and an older one does not return", () => {
    const facts = Array.from({ length: OUTREACH_BOUNDS.incentives + 2 }, (_, day) =>
      make.incentiveApplied({ at: on(day), id: `i_${day}` }),
    )
    const { incentives } = outreachAfter(...facts, ...facts.slice(0, 1))
    expect(incentives).toHaveLength(OUTREACH_BOUNDS.incentives)
    expect(incentives[0]?.id).toBe("i_2")
  })
})

describe("clicks", () => {
  const click = (at: string, id: string, caseId = "payment_in_1") => make.linkClicked({ at, id, caseId })
  const morning = click(on(1, "08:00:00"), "b")
  const noon = click(on(1, "12:00:00"), "a")

  test.each([
    ["in order", [morning, noon]],
    ["in reverse", [noon, morning]],
    ["one of them twice", [morning, noon, morning]],
  ])("of one day and case are one entry, with the last id and the first time: %s", (_, clicks) => {
    expect(outreachAfter(...clicks).clicks).toStrictEqual([
      { id: "a", caseId: "payment_in_1", at: on(1, "12:00:00"), firstAt: on(1, "08:00:00") },
    ])
  })

  test("of one moment have the greater id, and no first time of their own", () => {
    const both = [click(on(1), "a"), click(on(1), "c"), click(on(1), "b")]
    for (const clicks of [both, both.toReversed()])
      expect(outreachAfter(...clicks).clicks).toStrictEqual([{ id: "c", caseId: "payment_in_1", at: on(1) }])
  })

  test("between two others of a day change neither the first nor the last", () => {
    const between = click(on(1, "10:00:00"), "z")
    expect(outreachAfter(morning, noon, between).clicks).toEqual(outreachAfter(morning, noon).clicks)
  })

  test("are by day, and within a day by case, whatever their order", () => {
    const clicks = [click(on(2), "3", "b"), click(on(1), "1", "c"), click(on(2), "2", "a"), click(on(3), "4", "a")]
    for (const order of [clicks, clicks.toReversed()])
      expect(outreachAfter(...order).clicks.map(({ id }) => id)).toEqual(["1", "2", "3", "4"])
  })

  test("again on a day that is kept drop none, and on one that was dropped do not return", () => {
    const days = Array.from({ length: OUTREACH_BOUNDS.clickDays + 1 }, (_, day) => click(on(day), `c_${day}`))
    const { clicks } = outreachAfter(...days, click(on(1, "09:00:00"), "again"), click(on(0), "dropped"))
    expect(clicks).toHaveLength(OUTREACH_BOUNDS.clickDays)
    expect(clicks[0]).toMatchObject({ id: "c_1", firstAt: on(1, "09:00:00") })
  })
})
