/** A message about a failed payment, by e-mail in English, to change from. */
import type { NudgeInput } from "../../../shared/domain/messaging/messages.ts"

export const LINK = "https://pay.example.com/r/abc"

export const NUDGE: NudgeInput = {
  channel: "email",
  caseKind: "payment",
  billing: "subscription",
  collection: "automatic",
  step: 0,
  ask: "update_card",
  name: "Ada",
  money: { amountMinor: 1_999, currency: "usd" },
  bills: null,
  nextAttemptAt: null,
  endsAt: null,
  isLeaving: false,
  now: "2026-11-30T10:00:00.000Z",
  locale: "en-US",
  timeZone: null,
  brandName: "Acme Fitness",
  supportEmail: "help@acme.example",
  link: LINK,
  unsubscribeUrl: null,
  incentive: null,
}
