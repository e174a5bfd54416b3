/** Decline codes in Whop's spelling (docs.whop.com/payments/payment-declines). */
import { type JsonObject, textOf } from "../events/fields.ts"

/**
 * Events before `decline_code` have only a message for people. These phrases are from Whop's own explanations of its codes,
 * the more specific first. A message that matches none gives no code.
 */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/insufficient funds|sufficient funds/i, "insufficient_funds"],
  [/\blost\b/i, "lost_card"],
  [/\bstolen\b/i, "stolen_card"],
  [/\bexpired\b/i, "expired_card"],
  [/fraud|for security reasons/i, "suspected_fraud"],
  [/(?:cvc|security code)\W.*expiration/i, "invalid_cvc_or_expiration"],
  [/cvc|cvv|security code/i, "invalid_cvc"],
  [/card number (?:is|was) (?:incorrect|invalid)|(?:incorrect|invalid) card number/i, "invalid_card_number"],
  [/\bpin\b/i, "incorrect_pin"],
  [/authenticat|verification is required|3d secure/i, "authentication_required"],
  [/currency/i, "currency_not_supported"],
  [/does(?:n.t| not) support/i, "card_not_supported"],
  [/do not honou?r/i, "do_not_honor"],
  [/declined/i, "generic_decline"],
]

/** The decline code, else the code that its message means, else null. */
export function declineCodeOf(data: JsonObject): string | null {
  const code = textOf(data.decline_code)
  if (code !== null && isCode(code)) return code.toLowerCase()
  const message = textOf(data.failure_message)
  if (message === null) return null
  if (isCode(message)) return message.toLowerCase()
  return PHRASES.find(([phrase]) => phrase.test(message))?.[1] ?? null
}

const isCode = (text: string): boolean => /^[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+$/.test(text) && text.length <= 64
