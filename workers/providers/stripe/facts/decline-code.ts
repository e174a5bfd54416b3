/**
 * The most specific decline code of an event. Stripe has codes in several places: the general error
 * (`card_declined`), the decline code of the issuer (`insufficient_funds`), the outcome of the charge
 * (docs.stripe.com/declines/codes).
 */
import { at, codeOf, isObject, type JsonObject, listOf } from "../events/fields.ts"

/** Codes that mean only "declined", the least specific first. */
const GENERIC_CODES = ["payment_intent_payment_attempt_failed", "card_declined", "generic_decline"]

/** The most specific code of a charge, payment intent or invoice; null when it has none. */
export function declineCodeOf(object: JsonObject): string | null {
  const codes = [...codesOf(object), ...codesOfPayments(object)]
  return (
    codes.find((code) => !GENERIC_CODES.includes(code)) ??
    codes.toSorted((a, b) => GENERIC_CODES.indexOf(b) - GENERIC_CODES.indexOf(a))[0] ??
    null
  )
}

/** Its own codes, in the order in which Stripe itself prefers them. */
function codesOf(value: unknown): string[] {
  return [
    at(value, "last_payment_error", "decline_code"),
    at(value, "last_payment_error", "code"),
    at(value, "outcome", "reason"),
    at(value, "failure_code"),
  ]
    .map(codeOf)
    .filter((code) => code !== null)
}

/** The codes of the payments inside it, where they were expanded or, in older versions, always included. */
function codesOfPayments(object: JsonObject): string[] {
  const intents = [object.payment_intent, ...listOf(object.payments).map((p) => at(p, "payment", "payment_intent"))]
  const charges = [object.charge, object.latest_charge, listOf(object.charges)[0]]
  return [...intents, ...charges].filter(isObject).flatMap(codesOf)
}
