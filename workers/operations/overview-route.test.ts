import { expect, test } from "vitest"
import type { ReasonRow } from "../../db/queries/operations/overview.ts"
import { outcomesOf } from "./overview-route.ts"

const row = (change: Partial<ReasonRow>): ReasonRow => ({
  ...{ kind: "payment", reason: "expired_card", status: "open", currency: "usd", cases: 1, amountMinor: 100 },
  recoveredMinor: 0,
  ...change,
})

test("what came back, is open and is lost add up to the amounts, also where a case came back in part", () => {
  const outcomes = outcomesOf([
    row({ status: "recovered", amountMinor: 500, recoveredMinor: 450 }),
    row({ status: "lost", amountMinor: 200 }),
    row({ status: "reversed", amountMinor: 70 }),
    row({ status: "open", amountMinor: 30 }),
  ])
  expect(outcomes).toEqual([
    {
      ...{ currency: "usd", kind: "payment", reason: "expired_card", amountMinor: 800 },
      ...{ recoveredMinor: 450, openMinor: 30, lostMinor: 320 },
    },
  ])
})

test("currencies and reasons are apart, the largest amount of a currency first; cases without an amount are left out", () => {
  const outcomes = outcomesOf([
    row({ currency: "usd", reason: "a", amountMinor: 1 }),
    row({ currency: "usd", reason: "b", amountMinor: 2 }),
    row({ currency: "eur", reason: null, kind: "cancellation", amountMinor: 3 }),
    row({ currency: null, amountMinor: 0 }),
  ])
  expect(outcomes.map(({ currency, reason }) => [currency, reason])).toEqual([
    ["eur", null],
    ["usd", "b"],
    ["usd", "a"],
  ])
})
