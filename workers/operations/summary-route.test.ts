import { expect, test } from "vitest"
import { summarize } from "./summary-route.ts"

test("empty groups are zero", () => {
  const { cases, nudges, events, recoveredMinor } = summarize({ events: [], cases: [], nudges: [], recovered: [] })
  expect(cases).toEqual({ open: 0, recovered: 0, lost: 0, reversed: 0 })
  expect(events.dead).toBe(0)
  expect(nudges.push.sent).toBe(0)
  expect(recoveredMinor).toEqual({})
})

test("kinds and arms add up to the cases, and a nudge that is being sent counts as planned", () => {
  const { cases, casesByKind, casesByArm, nudges, recoveredMinor, recoveredMinorByArm } = summarize({
    events: [],
    cases: [
      { kind: "payment", status: "open", arm: "treated", count: 2 },
      { kind: "cancellation", status: "open", arm: null, count: 3 },
    ],
    nudges: [
      { channel: "email", status: "planned", count: 1 },
      { channel: "email", status: "sending", count: 1 },
    ],
    recovered: [
      { currency: "usd", arm: "treated", amountMinor: 1500 },
      { currency: "usd", arm: "held_out", amountMinor: 499 },
      { currency: "jpy", arm: null, amountMinor: 500 },
      { currency: null, arm: null, amountMinor: 0 },
    ],
  })
  expect(cases.open).toBe(5)
  expect(casesByKind.cancellation.open).toBe(3)
  expect([casesByArm.treated.open, casesByArm.held_out.open, casesByArm.not_drawn.open]).toEqual([2, 0, 3])
  expect(recoveredMinorByArm).toEqual({ treated: { usd: 1500 }, held_out: { usd: 499 }, not_drawn: { jpy: 500 } })
  expect(nudges.email).toEqual({ planned: 2, sent: 0, failed: 0, suppressed: 0, unknown: 0 })
  expect(recoveredMinor).toEqual({ usd: 1999, jpy: 500 })
})
