import { describe, expect, test } from "vitest"
import { MONTHLY } from "../../../../test/support/events/facts.ts"
import type { SubscriptionItem } from "../../facts.ts"
import { monthlyMinor, monthsBilled, priceClassOf } from "./prices.ts"

type Interval = NonNullable<SubscriptionItem["interval"]>
const item = (change: Partial<SubscriptionItem>): SubscriptionItem => ({
  ...MONTHLY,
  unitAmountMinor: 1_200,
  ...change,
})
const priced = (...changes: readonly Partial<SubscriptionItem>[]) => ({ currency: "usd", items: changes.map(item) })

describe("the monthly price", () => {
  test.each<[Interval, number, number]>([
    ["month", 1, 1_200],
    ["month", 3, 400],
    ["year", 1, 100],
    ["day", 1, (1_200 * 365.25) / 12],
    ["week", 1, (1_200 * 365.25) / 7 / 12],
    ["week", 2, (1_200 * 365.25) / 14 / 12],
  ])("of 12.00 per %s × %i is %d", (interval, intervalCount, expected) => {
    expect(monthlyMinor(priced({ interval, intervalCount }))).toBeCloseTo(expected, 9)
  })

  test("is the sum of the items, each by its quantity", () => {
    expect(monthlyMinor(priced({ quantity: 3 }, { interval: "year" }))).toBe(3_700)
  })

  test("leaves out items without a price or an interval, and is unknown if there is no other", () => {
    const unknown = [{ unitAmountMinor: null }, { interval: null }, { intervalCount: 0 }, { intervalCount: -1 }]
    expect(monthlyMinor(priced({}, ...unknown))).toBe(1_200)
    for (const one of unknown) expect(monthlyMinor(priced(one))).toBeNull()
    expect(monthlyMinor(priced())).toBeNull()
  })

  test("is zero for a free plan, which is known", () => {
    expect(monthlyMinor(priced({ unitAmountMinor: 0 }))).toBe(0)
  })
})

describe("an invoice covers", () => {
  test.each<[string, readonly Partial<SubscriptionItem>[], number | null]>([
    ["as many months as its interval", [{ interval: "year" }], 12],
    ["its interval as often as it counts", [{ interval: "month", intervalCount: 6 }], 6],
    ["the longest of several intervals", [{}, { interval: "year" }, { interval: "week" }], 12],
    ["nothing known without items", [], null],
    ["nothing known without an interval", [{ interval: null }], null],
    ["nothing known with an interval of no length", [{ intervalCount: 0 }], null],
  ])("%s", (_, changes, months) => {
    expect(monthsBilled(priced(...changes))).toBe(months)
  })
})

describe("the price class", () => {
  test.each([
    [0, "free"],
    [-500, "free"],
    [1, "up_to_10"],
    [1_000, "up_to_10"],
    [1_001, "up_to_30"],
    [3_000, "up_to_30"],
    [3_001, "up_to_100"],
    [10_000, "up_to_100"],
    [10_001, "up_to_300"],
    [30_000, "up_to_300"],
    [30_001, "above_300"],
  ])("of %i cents a month is %s", (unitAmountMinor, expected) => {
    expect(priceClassOf(priced({ unitAmountMinor }))).toBe(expected)
  })

  test.each([
    ["like the dollar", 1, "usd eur gbp chf cad xyz constructor"],
    ["by tens", 10, "cny czk dkk hkd mxn nok sek thb twd uah zar mad try php"],
    ["by hundreds", 100, "inr jpy rub huf isk kes dzd bdt lkr pkr rsd all amd kzt ngn ars"],
    ["by thousands", 1_000, "krw clp cop crc iqd mnt tzs ugx xof xaf rwf bif"],
    ["by ten thousands", 10_000, "idr vnd lak pyg gnf uzs khr"],
  ])("counts these currencies %s", (_, units, currencies) => {
    const whole = new Set("bif clp gnf jpy krw pyg rwf vnd xaf xof".split(" "))
    const classOf = (currency: string, dollars: number) => {
      const decimals = whole.has(currency.toLowerCase()) ? 0 : currency.toLowerCase() === "iqd" ? 3 : 2
      return priceClassOf({ currency, items: [item({ unitAmountMinor: dollars * units * 10 ** decimals })] })
    }
    for (const currency of currencies.split(" ")) {
      for (const code of [currency, currency.toUpperCase()]) {
        expect([code, classOf(code, 10), classOf(code, 20)]).toEqual([code, "up_to_10", "up_to_30"])
      }
    }
  })

  test("is unknown without a price or a currency", () => {
    expect(priceClassOf(priced())).toBeNull()
    expect(priceClassOf({ ...priced({}), currency: null })).toBeNull()
  })
})
