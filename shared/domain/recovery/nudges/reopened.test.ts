import { describe, expect, test } from "vitest"
import { on } from "../../../../test/support/events/facts.ts"
import type { Nudge } from "./nudges.ts"
import { resumedAfterEnd } from "./reopened.ts"

const nudge = (step: number, given: Partial<Nudge> = {}): Nudge => ({
  ...{ id: `payment_in_1.${step}.email`, caseId: "payment_in_1", step, channel: "email", status: "suppressed" },
  ...{ reason: "case_closed", incentive: null, dueAt: on(step), attempts: 0, sentAt: null },
  ...given,
})
const sent = nudge(0, { status: "sent", reason: null, attempts: 1, sentAt: on(0) })
const due = (nudges: readonly Nudge[], now: string) =>
  resumedAfterEnd(nudges, now).map(({ step, status, reason, dueAt }) => [step, status, reason, dueAt])

describe("a case that is open again", () => {
  test("continues the reminders that its end suppressed, on their days", () => {
    expect(due([sent, nudge(2), nudge(4)], on(1))).toEqual([
      [2, "planned", null, on(2)],
      [4, "planned", null, on(4)],
    ])
  })

  test("continues at once where the day has passed, and keeps the days between", () => {
    expect(due([sent, nudge(2), nudge(4)], on(9))).toEqual([
      [2, "planned", null, on(9)],
      [4, "planned", null, on(11)],
    ])
  })

  test("does not change what was sent, tried, or suppressed for another reason", () => {
    expect(due([sent, nudge(2, { attempts: 1 }), nudge(4, { reason: "opted_out" })], on(1))).toEqual([])
    expect(due([nudge(4, { status: "sent", sentAt: on(4) }), nudge(2)], on(5))).toEqual([])
  })
})
