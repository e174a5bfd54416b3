import { expect, test } from "vitest"
import { alertOf } from "./quarantine.ts"

const found = {
  companyId: "acme",
  customerId: "stripe_cus_<1>",
  reason: "customer_flood",
  since: new Date("2026-03-02T10:00:00.000Z"),
} as const

test("the alert names company, customer, reason and link", () => {
  const { text, to } = alertOf(found, "https://churn.example")
  expect(to).toBe("")
  expect(text).toContain("Customer stripe_cus_&lt;1&gt; of acme is in quarantine")
  expect(text).toContain("more events within an hour than are processed")
  expect(text).toContain("https://churn.example/api/customers/stripe_cus_%3C1%3E")
})
