import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { anyString } from "../../test/support/any-string.ts"
import { currencyCodeOf, exponentOf, formatMoney, minorUnitsOf } from "./money.ts"

/** Intl separates with no-break spaces; a plain one reads better in a table. */
const plain = (text: string) => text.replaceAll(/[\u00a0\u202f]/g, " ")

describe("money", () => {
  test.each([
    [1_999, "usd", "en-US", "$19.99"],
    [1_999, "eur", "de-DE", "19,99 €"],
    [1_999, "EUR", "fr", "19,99 €"],
    [123_456_789, "eur", "es", "1.234.567,89 €"],
    [500, "jpy", "en", "¥500"],
    [12_345, "kwd", "en", "KWD 12.345"],
    [250_000, "huf", "en", "HUF 2,500.00"],
    [50_000, "isk", "en", "ISK 500"],
    [-1_050, "usd", "en", "-$10.50"],
    [5, "usd", "en", "$0.05"],
    [1_500, "whop_usd", "en", "$15.00"],
    [150_000, "btc", "en", "0.0015 BTC"],
    [12_340_000, "usdt", "de", "12,34 USDT"],
    [29_000_000, "usdt", "en", "29.00 USDT"],
    [1_000_000, "eth", "en", "0.01 ETH"],
    [150_000_000, "ape", "en", "1.50 APE"],
    [50_000, "mga", "en", "MGA 50,000"],
    [50_000, "ugx", "en", "UGX 500"],
    [1_250, "ttd", "en", "TTD 12.50"],
    [9_500, "kwd", "en", "KWD 9.500"],
    [9_007_199_254_740_991, "usd", "en", "$90,071,992,547,409.91"],
    [1_999, "usd", "no such locale!", "$19.99"],
    [1_999, "eur", "de_AT", "€ 19,99"],
    [1_999, "usd", null, "$19.99"],
    [Number.NaN, "usd", "en", "USD"],
    [0.5, "usd", "en", "USD"],
    [100, "<b>", "en", "1.00 B"],
    [100, "", "en", "1.00"],
    [100, "__proto__", "en", "1.00 __PROTO__"],
    [50_050, "isk", "en", "ISK 500.50"],
    [-50_000, "isk", "en", "-ISK 500"],
    [0, "usd", "en", "$0.00"],
    [-5, "jpy", "en", "-¥5"],
    [-5, "usd", "en", "-$0.05"],
    [100, "a currency", "en", "1.00 ACURRENCY"],
    [100, "abcdefghijklmn", "en", "1.00 ABCDEFGHIJKL"],
    [100, "us$d", "en", "$1.00"],
    [1_999, "eur", "pt_BR_x", "€19.99"],
    [Number.NaN, "whop_usd", "en", "USD"],
  ])("%s %s in %s reads %s", (amountMinor, currency, locale, expected) => {
    expect(plain(formatMoney({ amountMinor, currency }, locale))).toBe(expected)
  })

  test("never throws and never carries markup", () => {
    fc.assert(
      fc.property(fc.double(), anyString(), anyString(), (amountMinor, currency, locale) => {
        expect(formatMoney({ amountMinor, currency }, locale)).not.toMatch(/[<>&"]/)
      }),
    )
  })

  test("has the decimals of its minor unit", () => {
    const decimals = { usd: 2, jpy: 0, mga: 0, isk: 2, ugx: 2, ttd: 2, kwd: 3, clf: 4, usdt: 6, btc: 8, eth: 8, ape: 8 }
    expect(Object.fromEntries(Object.keys(decimals).map((code) => [code, exponentOf(code)]))).toEqual(decimals)
    expect(["whop_usd", "USD", "xyz", "__proto__", "constructor"].map(exponentOf)).toEqual([2, 2, 2, 2, 2])
  })

  test("a currency is in lower case, as ISO and Whop spell it", () => {
    expect(["USD", "whop_usd", "usdt"].map(currencyCodeOf)).toEqual(["usd", "whop_usd", "usdt"])
    expect(["abcde", "Whop_USD"].map(currencyCodeOf)).toEqual(["abcde", "whop_usd"])
    const others = [null, 5, "", "us", "dollar", "u s", "usd1", "1usd", " usd", "xwhop_usd", "whop_usdx", "whop"]
    expect(others.map(currencyCodeOf)).toEqual([...others.slice(1).map(() => null), "whop"])
  })
})

describe("an amount in major units becomes minor units", () => {
  test.each([
    [29, "usd", 2900],
    ["29.0", "usd", 2900],
    ["29.00", "usd", 2900],
    [19.99, "usd", 1999],
    [8.2, "usd", 820],
    [1e3, "usd", 100_000],
    ["1E3", "usd", 100_000],
    [0.1 + 0.2, "usd", 30],
    [20.993, "usd", 2099],
    [4.35, "usd", 435],
    ["0.005", "usd", 0],
    ["0.015", "usd", 2],
    ["0.0151", "usd", 2],
    [1_500, "jpy", 1_500],
    [1_980.5, "jpy", 1_980],
    [9.5, "kwd", 9_500],
    [50_000, "mga", 50_000],
    [500, "isk", 50_000],
    [500, "ugx", 50_000],
    [29, "usdt", 29_000_000],
    [0.01, "eth", 1_000_000],
    [1e-9, "eth", 0],
    ["1.000000000000000001", "ape", 100_000_000],
    [12.5, "USD", 1_250],
    ["9007199254740991", "jpy", 9_007_199_254_740_991],
    ["00000000000000000029.00", "usd", 2900],
    [0, "usd", 0],
    ["1e-400", "usd", 0],
    [" 29 ", "usd", 2900],
    ["1e+2", "usd", 10_000],
    ["1.5e2", "usd", 15_000],
    ["125e-2", "usd", 125],
    ["0.025", "usd", 2],
    ["0.035", "usd", 4],
    ["0.0349", "usd", 3],
    ["0".repeat(30), "usd", 0],
    [`1.${"0".repeat(40)}`, "usd", 100],
    [29, "xyz", 2900],
    [29, "uyw", 290_000],
    [29, "tnd", 29_000],
    [29, "usdc", 29_000_000],
  ])("%j %s is %j", (amount, currency, minor) => {
    expect(minorUnitsOf(amount, currency)).toBe(minor)
  })

  test.each([
    [-1, "usd"],
    ["-1", "usd"],
    ["19,99", "usd"],
    ["$19.99", "usd"],
    ["", "usd"],
    [".5", "usd"],
    ["NaN", "usd"],
    [Number.NaN, "usd"],
    [Number.POSITIVE_INFINITY, "usd"],
    [1e21, "usd"],
    ["1e999", "usd"],
    ["9007199254740992", "jpy"],
    [90_071_992_547_409.92, "usd"],
    [100_000_000, "eth"],
    ["x29", "usd"],
    ["29x", "usd"],
    ["29.", "usd"],
    ["29e", "usd"],
    ["2 9", "usd"],
    ["1e0001", "usd"],
    ["0".repeat(31), "usd"],
    [`1.${"0".repeat(41)}`, "usd"],
    [null, "usd"],
    [true, "usd"],
    [[19.99], "usd"],
  ])("but not %j %s", (amount, currency) => {
    expect(minorUnitsOf(amount, currency)).toBeNull()
  })

  test("and is written again as the same amount, in every currency of the table", () => {
    const codes = [
      "usd",
      "jpy",
      "kwd",
      "isk",
      "ugx",
      "mga",
      "clf",
      "usdt",
      "usdc",
      "btc",
      "eth",
      "ape",
      "ttd",
      "whop_usd",
    ]
    fc.assert(
      fc.property(fc.constantFrom(...codes), fc.nat({ max: 2 ** 31 - 1 }), (currency, minor) => {
        const major = (BigInt(minor) * 10n ** 10n) / 10n ** BigInt(exponentOf(currency))
        const text = `${major / 10n ** 10n}.${String(major % 10n ** 10n).padStart(10, "0")}`
        expect(minorUnitsOf(text, currency)).toBe(minor)
        expect(minorUnitsOf(Number(text), currency)).toBe(minor)
        expect(Number(formatMoney({ amountMinor: minor, currency }, "en").replaceAll(/[^\d.]/g, ""))).toBe(Number(text))
      }),
      { numRuns: 2_000 },
    )
  })

  test("to a safe integer or not at all, for any input", () => {
    fc.assert(
      fc.property(fc.anything(), fc.string(), (amount, currency) => {
        const minor = minorUnitsOf(amount, currency)
        expect(minor === null || (Number.isSafeInteger(minor) && minor >= 0)).toBe(true)
      }),
    )
  })
})
