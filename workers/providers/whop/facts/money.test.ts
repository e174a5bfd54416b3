import { describe, expect, test } from "vitest"
import { firstMoney, moneyOf } from "./money.ts"

describe("an amount of Whop", () => {
  test.each([
    [19.99, "usd", { amountMinor: 1999, currency: "usd" }],
    ["19.99", "USD", { amountMinor: 1999, currency: "usd" }],
    [19.99, "whop_usd", { amountMinor: 1999, currency: "whop_usd" }],
    [
      { amount: "50.00", currency: "eur", decimals: 2, display_decimals: 2 },
      "usd",
      { amountMinor: 5000, currency: "eur" },
    ],
    [{ amount: "1980" }, "jpy", { amountMinor: 1980, currency: "jpy" }],
  ])("%j %s", (amount, currency, money) => {
    expect(moneyOf(amount, currency)).toEqual({ ok: true, value: money })
  })

  test.each([
    [{ amount: { amount: 1 } }, "usd", "amount not readable"],
    [null, "usd", "amount not readable"],
    [19.99, "dollars", "currency not readable"],
    [19.99, null, "currency not readable"],
    [19.99, "u$d", "currency not readable"],
  ])("is invalid: %j %s", (amount, currency, error) => {
    expect(moneyOf(amount, currency)).toEqual({ ok: false, error })
  })

  test("is the first that can be read, a positive one before zero", () => {
    const names = ["total", "final_amount", "subtotal"]
    const first = (data: Record<string, unknown>) => firstMoney(data, names, "usd")
    expect(first({ total: 0, final_amount: "7" })).toMatchObject({ value: { amountMinor: 700 } })
    expect(first({ total: "a lot", subtotal: 7 })).toMatchObject({ value: { amountMinor: 700 } })
    expect(first({ total: 0 })).toMatchObject({ value: { amountMinor: 0 } })
    expect(first({ total: null })).toEqual({ ok: false, error: "no amount" })
    expect(first({ total: "a lot" })).toEqual({ ok: false, error: "amount not readable" })
  })
})
