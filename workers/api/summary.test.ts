import { expect, test } from "vitest"
import { summarize } from "./summary.ts"

test("what was not counted is zero", () => {
  const { cases, nudges, events, recoveredMinor } = summarize({ events: [], cases: [], nudges: [], recovered: [] })
  expect(cases).toEqual({ open: 0, recovered: 0, lost: 0, reversed: 0 })
  expect(events.dead).toBe(0)
  expect(nudges.push.sent).toBe(0)
  expect(recoveredMinor).toEqual({})
})

test("kinds add up to the cases, and a nudge on its way counts as planned", () => {
  const { cases, casesByKind, nudges, recoveredMinor } = summarize({
    events: [],
    cases: [
      { kind: "payment", status: "open", count: 2 },
      { kind: "cancellation", status: "open", count: 3 },
    ],
    nudges: [
      { channel: "email", status: "planned", count: 1 },
      { channel: "email", status: "sending", count: 1 },
    ],
    recovered: [
      { currency: "usd", amountMinor: 1999 },
      { currency: "jpy", amountMinor: 500 },
      { currency: null, amountMinor: 0 },
    ],
  })
  expect(cases.open).toBe(5)
  expect(casesByKind.cancellation.open).toBe(3)
  expect(nudges.email).toEqual({ planned: 2, sent: 0, failed: 0, suppressed: 0, unknown: 0 })
  expect(recoveredMinor).toEqual({ usd: 1999, jpy: 500 })
})
