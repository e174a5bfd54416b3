import { expect, test } from "vitest"
import { on } from "../../../test/support/events/facts.ts"
import { resultTimeoutAt } from "./payment-methods.ts"

test.each<[string, number]>([
  ["us_bank_account", 14],
  ["ach", 14],
  ["ach_debit", 14],
  ["acss_debit", 14],
  ["au_becs_debit", 14],
  ["bacs_debit", 14],
  ["nz_bank_account", 14],
  ["sepa_debit", 21],
  ["customer_balance", 30],
  ["boleto", 14],
  ["oxxo", 14],
  ["konbini", 14],
  ["multibanco", 14],
  ["card", 1],
  ["link", 1],
  ["a method that nobody knows", 14],
])("the result of %s is awaited for %i days", (method, days) => {
  expect(resultTimeoutAt(method, on(0), null)).toBe(on(days))
})

test("where no method is named, fourteen days", () => {
  expect(resultTimeoutAt(null, on(0), null)).toBe(on(14))
})

test("a voucher is awaited until three days after it expires, whatever its method", () => {
  expect(resultTimeoutAt("boleto", on(0), on(3))).toBe(on(6))
  expect(resultTimeoutAt("card", on(0), on(30))).toBe(on(33))
})

test("for sixty days at most, and not less than until it was begun", () => {
  expect(resultTimeoutAt("boleto", on(0), on(57))).toBe(on(60))
  expect(resultTimeoutAt("boleto", on(0), on(400))).toBe(on(60))
  expect(resultTimeoutAt("boleto", on(0), on(-9))).toBe(on(0))
})
