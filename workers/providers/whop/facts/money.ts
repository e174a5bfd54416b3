/**
 * Whop's amounts are decimals in major units (19.99), as numbers, as text, or since 2026 as
 * `{ amount: "50.00", currency, … }` (docs.whop.com/api-reference/payments/payment-failed). `shared/domain/money.ts` converts
 * them to minor units.
 */
import { type Money, type StatedMoney, UNKNOWN_MONEY } from "../../../../shared/domain/facts.ts"
import { currencyCodeOf, minorUnitsOf } from "../../../../shared/domain/money.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { type JsonObject, objectOf } from "../events/fields.ts"

/** An amount in minor units, or why it cannot be read. */
export function moneyOf(amount: unknown, currency: unknown): Result<Money, string> {
  const stated = objectOf(amount)
  const code = currencyCodeOf(stated ? (stated.currency ?? currency) : currency)
  if (code === null) return err("currency not readable")
  const minor = minorUnitsOf(stated ? stated.amount : amount, code)
  return minor === null ? err("amount not readable") : ok({ amountMinor: minor, currency: code })
}

/** The amount, or unknown: an event is valid without one. */
export const statedMoneyOf = (money: Result<Money, string>): StatedMoney => (money.ok ? money.value : UNKNOWN_MONEY)

/** The first of the fields that holds an amount, positive ones before zero; an error when none can be read. */
export function firstMoney(data: JsonObject, names: readonly string[], currency: unknown): Result<Money, string> {
  let zero: Money | null = null
  let fault = "no amount"
  for (const name of names) {
    const value = data[name]
    if (value === null || value === undefined) continue
    const money = moneyOf(value, currency)
    if (!money.ok) fault = money.error
    else if (money.value.amountMinor > 0) return money
    else zero ??= money.value
  }
  return zero === null ? err(fault) : ok(zero)
}
