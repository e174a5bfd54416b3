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
  const firstDeliveries = [
    { provider: "whop", at: "2026-10-06T12:00:00.000Z" },
    { provider: "stripe", at: AT },
  ] as const
  expect(itemOf("provider_connected", { firstDeliveries })).toMatchObject({
    ...{ isDone: true, at: AT },
    how: "Signed events of Whop and Stripe have arrived.",
  })
})

test.each([
  ["none", { kind: "none" }, false, null],
  ["the deployment's", { kind: "deployment" }, true, null],
  ["its own, not authenticated", { kind: "own", verifiedAt: null }, false, null],
  ["its own, authenticated", { kind: "own", verifiedAt: AT }, true, AT],
] as const)("the sender: %s", (_, sender, isDone, at) => {
  expect(itemOf("sender_verified", { sender })).toMatchObject({ isDone, at })
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
  expect(itemOf("first_message_sent", { steps })).toMatchObject({ isDone: true, at: AT })
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
