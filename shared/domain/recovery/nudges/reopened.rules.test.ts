import { expect, test } from "vitest"
import { on } from "../../../../test/support/events/facts.ts"
import { type Nudge, nudgeId } from "./nudges.ts"
import { resumedAfterEnd } from "./reopened.ts"

const nudge = (step: number | null, given: Partial<Nudge> = {}): Nudge => ({
  id: nudgeId("payment_in_1", step ?? 99, given.channel ?? "email"),
  caseId: "payment_in_1",
  step,
  channel: "email",
  status: "suppressed",
  reason: "case_closed",
  incentive: null,
  dueAt: on(step ?? 0),
  attempts: 0,
  sentAt: null,
  ...given,
})
const sent = (step: number | null, day: number, given: Partial<Nudge> = {}) =>
  nudge(step, { status: "sent", reason: null, sentAt: on(day), ...given })
const resumed = (nudges: readonly Nudge[], day: number) =>
  resumedAfterEnd(nudges, on(day)).map(({ step, dueAt }) => [step, dueAt])

test("reminders that the end of their case had stopped are planned again, as far apart as their steps", () => {
  expect(resumed([nudge(4), nudge(0), nudge(2)], 10)).toEqual([
    [0, on(10)],
    [2, on(12)],
    [4, on(14)],
  ])
  expect(resumedAfterEnd([nudge(0)], on(10))).toMatchObject([{ status: "planned", reason: null, id: nudge(0).id }])
})

test("not before they were due", () => {
  expect(resumed([nudge(2), nudge(4)], 1)).toEqual([
    [2, on(2)],
    [4, on(4)],
  ])
})

test.each<[string, Partial<Nudge>]>([
  ["was stopped for another reason", { reason: "opted_out" }],
  ["was tried", { attempts: 1 }],
  ["may have been seen", { sentAt: on(1) }],
  ["was sent by hand", { step: null }],
  ["failed", { status: "failed" }],
])("a message that %s stays as it is", (_, given) => {
  expect(resumed([nudge(2, given)], 10)).toEqual([])
})

test("a step comes its days after the last message that was seen, and not after a later step", () => {
  expect(resumed([sent(0, 9), nudge(2), nudge(4)], 10)).toEqual([
    [2, on(11)],
    [4, on(13)],
  ])
  expect(resumed([sent(2, 9), sent(0, 3), nudge(1), nudge(4)], 10)).toEqual([[4, on(11)]])
  expect(resumed([sent(0, 3), sent(2, 9), nudge(1), nudge(4)], 10)).toEqual([[4, on(11)]])
  expect(resumed([sent(2, 9), nudge(2, { channel: "sms" })], 10)).toEqual([[2, on(10)]])
})

test("what was sent by hand, to the team, or was refused is no message before", () => {
  const others = [sent(null, 9), sent(3, 9, { channel: "slack" }), nudge(3, { status: "failed", reason: "bad" })]
  expect(resumed([...others, nudge(2)], 10)).toEqual([[2, on(10)]])
})

test("one whose sending is not over counts from when it was due", () => {
  expect(resumed([nudge(0, { status: "sending", reason: null, dueAt: on(9) }), nudge(2)], 10)).toEqual([[2, on(11)]])
})

test("the team hears again at once, and members' messages do not wait for it", () => {
  const alert = nudge(0, { channel: "slack" })
  expect(resumed([sent(2, 9), alert], 10)).toEqual([[0, on(10)]])
  expect(resumed([nudge(6, { channel: "slack" })], 5)).toEqual([[6, on(6)]])
  expect(resumed([alert, nudge(2)], 10)).toEqual([
    [0, on(10)],
    [2, on(10)],
  ])
})
