/** An invented member with a failed payment, for previews and test messages. */
import type { NudgeInput } from "./messages.ts"

export const EXAMPLE = {
  billing: "subscription",
  collection: "automatic",
  name: "Ada Example",
  money: { amountMinor: 1_999, currency: "usd" },
  bills: null,
  nextAttemptAt: null,
  endsAt: null,
  isLeaving: false,
  locale: "en",
  timeZone: null,
  incentive: null,
} as const satisfies Partial<NudgeInput>

/** As long as the signed token of a real link. */
const TOKEN = "x".repeat(120)

/** Links that look like those of a real message, and lead nowhere. */
export const exampleLinks = (appUrl: string) => ({
  link: `${appUrl}/r/${TOKEN}`,
  unsubscribeUrl: `${appUrl}/unsubscribe/${TOKEN}`,
})
