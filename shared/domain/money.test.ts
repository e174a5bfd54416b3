import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { exponentOf, formatMoney } from "./money.ts"

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
    [1_234, "usdt", "de", "12,34 USDT"],
    [9_007_199_254_740_991, "usd", "en", "$90,071,992,547,409.91"],
    [1_999, "usd", "no such locale!", "$19.99"],
    [1_999, "eur", "de_AT", "€ 19,99"],
    [1_999, "usd", null, "$19.99"],
    [Number.NaN, "usd", "en", "USD"],
    [0.5, "usd", "en", "USD"],
    [100, "<b>", "en", "1.00 B"],
    [100, "", "en", "1.00"],
    [100, "__proto__", "en", "1.00 __PROTO__"],
  ])("%s %s in %s reads %s", (amountMinor, currency, locale, expected) => {
    expect(plain(formatMoney({ amountMinor, currency }, locale))).toBe(expected)
  })

  test("never throws and never carries markup", () => {
    fc.assert(
      fc.property(
        fc.double(),
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        (amountMinor, currency, locale) => {
          expect(formatMoney({ amountMinor, currency }, locale)).not.toMatch(/[<>&"]/)
        },
      ),
    )
  })

  test("has as many decimals as its provider counts", () => {
    expect(["usd", "jpy", "kwd", "isk", "btc", "whop_usd"].map(exponentOf)).toEqual([2, 0, 3, 2, 8, 2])
  })
})
