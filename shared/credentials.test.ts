import { describe, expect, test } from "vitest"
import { CREDENTIALS, type CredentialKind, shownOf } from "./credentials.ts"

/** The end of each invented key; the beginning is what a kind of key is recognized by. */
const END = "0123456789abcdef"
/** Stripe's keys by their beginning, put together here so that no scanner takes them for real ones. */
const stripeKey = (...parts: readonly string[]): string => [...parts, END].join("_")

const GOOD = {
  stripe: { apiKey: stripeKey("rk", "live") },
  whop: { apiKey: `whop_${END}`, accountId: "biz_1", experienceId: "exp_1" },
  sendgrid: { apiKey: `SG.${END}`, from: "Ada <pay@ada.example>", replyTo: null },
  twilio: { accountSid: `AC${"0".repeat(32)}`, authToken: END, from: "+15005550006" },
  slack: { webhookUrl: "https://hooks.slack.com/services/T0/B0/secret" },
  "link-domain": { domain: "pay.ada.example" },
} as const satisfies Record<CredentialKind, object>

describe.each(Object.entries(GOOD))("%s", (kind, good) => {
  const schema = CREDENTIALS[kind as CredentialKind]

  test("is taken as it is, with nothing besides", () => {
    expect(schema.parse(good)).toEqual(good)
    expect(schema.safeParse({ ...good, other: "x" }).success).toBe(false)
    for (const name of Object.keys(good)) {
      expect(schema.safeParse({ ...good, [name]: "" }).success).toBe(false)
      expect(schema.safeParse({ ...good, [name]: "a b\r\nc" }).success).toBe(false)
    }
  })

  test("shows no secret", () => {
    const text = JSON.stringify(shownOf(schema.parse(good)))
    for (const secret of [END.slice(0, -2), "T0/B0"]) expect(text).not.toContain(secret)
  })
})

test.each([
  ["stripe", { apiKey: "pk_live_0123456789abcdef" }],
  ["sendgrid", { ...GOOD.sendgrid, apiKey: "0123456789abcdef0" }],
  ["sendgrid", { ...GOOD.sendgrid, from: "Ada <pay@ada.example>, Eve <eve@example.com>" }],
  ["twilio", { ...GOOD.twilio, from: "Ada" }],
  ["slack", { webhookUrl: "ftp://hooks.slack.com/services/T0/B0/secret" }],
  ["link-domain", { domain: "https://pay.ada.example" }],
  ["link-domain", { domain: "localhost" }],
  ["link-domain", { domain: "pay.ada.example:8443" }],
  ["link-domain", { domain: "127.0.0.1" }],
  ["link-domain", { domain: "PAY.ada.example" }],
] as const)("%s refuses %j", (kind, value) => {
  expect(CREDENTIALS[kind].safeParse(value).success).toBe(false)
})

test("of a key the last four characters are shown, of an account and a sender everything", () => {
  expect(shownOf(GOOD.sendgrid)).toEqual({ apiKey: "…cdef", from: "Ada <pay@ada.example>", replyTo: null })
  expect(shownOf(GOOD.whop)).toEqual({ apiKey: "…cdef", accountId: "biz_1", experienceId: "exp_1" })
})
