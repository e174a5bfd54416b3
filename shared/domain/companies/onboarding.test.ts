import { expect, test } from "vitest"
import { checklist, ONBOARDING_ITEMS, type OnboardingInput } from "./onboarding.ts"

const NOTHING: OnboardingInput = {
  companyId: "acme",
  firstDeliveries: [],
  steps: [],
  sender: { kind: "none" },
  postalAddress: "none",
  isProcessing: false,
  isSending: false,
}
const AT = "2026-10-05T12:00:00.000Z"

const itemOf = (item: string, given: Partial<OnboardingInput>) =>
  checklist({ ...NOTHING, ...given }).find((entry) => entry.item === item)

test("has all items, in their order, each with what to do", () => {
  const entries = checklist(NOTHING)
  expect(entries.map(({ item }) => item)).toEqual([...ONBOARDING_ITEMS])
  expect(entries.map(({ isDone, at }) => [isDone, at])).toEqual(entries.map(() => [false, null]))
  for (const { how } of entries) expect(how).toMatch(/^[A-Z].+\.$/)
  expect(entries[0]?.how).toContain("/api/webhooks/stripe/acme")
})

test("a provider is connected by its first signed event, the earliest of all", () => {
  const whop = { provider: "whop", at: "2026-10-06T12:00:00.000Z" } as const
  const stripe = { provider: "stripe", at: AT } as const
  for (const firstDeliveries of [
    [whop, stripe],
    [stripe, whop],
  ]) {
    expect(itemOf("provider_connected", { firstDeliveries })).toMatchObject({ isDone: true, at: AT })
  }
  expect(itemOf("provider_connected", { firstDeliveries: [whop, stripe] })?.how).toBe(
    "Signed events of Whop and Stripe have arrived.",
  )
})

test.each([
  ["none", { kind: "none" }, false, null, "store one for the company"],
  ["the deployment's", { kind: "deployment" }, true, null, "the deployment's sender"],
  ["its own, not authenticated", { kind: "own", verifiedAt: null }, false, null, "add its DNS records"],
  ["its own, authenticated", { kind: "own", verifiedAt: AT }, true, AT, "is verified"],
] as const)("the sender: %s", (_, sender, isDone, at, how) => {
  expect(itemOf("sender_verified", { sender })).toMatchObject({ isDone, at, how: expect.stringContaining(how) })
})

test.each([
  ["shown", true, "show the company's postal address"],
  ["waiting", false, "waits for an operator's approval"],
  ["none", false, "Add the company's postal address"],
] as const)("the postal address: %s", (postalAddress, isDone, how) => {
  const entry = itemOf("postal_address_set", { postalAddress })
  expect([entry?.isDone, entry?.how]).toEqual([isDone, expect.stringContaining(how)])
})

test("the first message counts when it was recorded", () => {
  const steps = [
    { step: "other", at: "2026-10-01T12:00:00.000Z" },
    { step: "first_message_sent", at: AT },
  ]
  const how = expect.stringContaining("was sent")
  expect(itemOf("first_message_sent", { steps })).toMatchObject({ isDone: true, at: AT, how })
  expect(itemOf("first_message_sent", {})?.how).toContain("/api/companies/acme/test-message")
})

test.each([
  [false, false, false, "dark-launch"],
  [true, false, false, "limited"],
  [false, true, false, "not processed"],
  [true, true, true, "are sent"],
])("the switches: processing %s, sending %s", (isProcessing, isSending, isDone, how) => {
  const entry = itemOf("switches_set", { isProcessing, isSending })
  expect([entry?.isDone, entry?.how]).toEqual([isDone, expect.stringContaining(how)])
})
