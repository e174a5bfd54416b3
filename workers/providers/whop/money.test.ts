import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { currencyOf, moneyOf } from "./money.ts"

const minorOf = (amount: unknown, currency: unknown): number | null => {
  const money = moneyOf(amount, currency)
  return money.ok ? money.value.amountMinor : null
}

describe("an amount in major units becomes minor units", () => {
  test.each([
    [19.99, "usd", 1999],
    [0.1, "usd", 10],
    [1.1, "usd", 110],
    [4.35, "usd", 435],
    [1005.01, "usd", 100501],
    [0, "usd", 0],
    ["19.99", "USD", 1999],
    ["0.0", "usd", 0],
    ["50.000", "usd", 5000],
    [1980, "jpy", 1980],
    [5000, "krw", 5000],
    [1.234, "bhd", 1234],
    [7, "kwd", 7000],
    [19.99, "whop_usd", 1999],
    [0.00000001, "btc", 1],
    [2.5, "usdt", 2500000],
    [{ amount: "50.00", currency: "usd", decimals: 2, display_decimals: 2 }, "usd", 5000],
    [{ amount: "1980", currency: "jpy" }, "usd", 1980],
  ])("%j %s", (amount, currency, minor) => {
    expect(minorOf(amount, currency)).toBe(minor)
  })

  test.each([
    [19.999, "usd"],
    [0.30000000000000004, "usd"],
    [1980.5, "jpy"],
    [-1, "usd"],
    ["-1", "usd"],
    ["19,99", "usd"],
    ["$19.99", "usd"],
    ["", "usd"],
    ["NaN", "usd"],
    [Number.NaN, "usd"],
    [Number.POSITIVE_INFINITY, "usd"],
    [1e21, "usd"],
    ["9007199254740992", "jpy"],
    [90071992547409.92, "usd"],
    [1, "eth"],
    [null, "usd"],
    [true, "usd"],
    [[19.99], "usd"],
    [{ amount: { amount: 1 } }, "usd"],
    [19.99, "dollars"],
    [19.99, null],
    [19.99, "u$d"],
  ])("refuses %j %s", (amount, currency) => {
    expect(minorOf(amount, currency)).toBeNull()
  })

  test("to the cent, for every amount up to ten million and for text and number alike", () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000_000 }), (minor) => {
        const major = minor / 100
        expect(minorOf(major, "usd")).toBe(minor)
        expect(minorOf(major.toFixed(2), "usd")).toBe(minor)
      }),
      { numRuns: 2000 },
    )
  })

  test("to a safe integer or not at all, whatever comes in", () => {
    fc.assert(
      fc.property(fc.anything(), fc.oneof(fc.constant("usd"), fc.anything()), (amount, currency) => {
        const minor = minorOf(amount, currency)
        expect(minor === null || (Number.isSafeInteger(minor) && minor >= 0)).toBe(true)
      }),
    )
  })
})

test("a currency is in lower case, as ISO and Whop spell it", () => {
  expect(["USD", "whop_usd", "usdt"].map(currencyOf)).toEqual(["usd", "whop_usd", "usdt"])
  expect([null, 5, "", "us", "dollar", "u s"].map(currencyOf)).toEqual([null, null, null, null, null, null])
})
