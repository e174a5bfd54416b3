import { expect, test } from "vitest"
import { safeRedirect } from "./safe-redirect.ts"

const HOSTS = ["whop.com", ".whop.com", ".stripe.com"]

test.each([
  "https://billing.stripe.com/p/session/abc?x=1",
  "https://invoice.stripe.com/i/acct_1/test",
  "https://whop.com/orders",
  "https://pay.eu.whop.com/",
  "https://BILLING.Stripe.com/p",
])("%s is followed", (address) => {
  expect(safeRedirect(address, HOSTS)).toBe(new URL(address).href)
})

test.each([
  "http://billing.stripe.com/",
  "//evil.example",
  "/\\evil.example",
  "https:evil.example",
  "https://evil.example/",
  "https://stripe.com.evil.example/",
  "https://evilstripe.com/",
  "https://stripe.com/",
  "https://.stripe.com/",
  "https://billing.stripe.com.",
  "https://billing.stripe.com@evil.example/",
  "https://evil.example\\@billing.stripe.com/",
  "https://user:pass@billing.stripe.com/",
  "https://billing.stripe.com:8443/",
  "https://evil.example/?https://billing.stripe.com/",
  "https://evil.example#.stripe.com",
  "https://evil.example%2f.stripe.com/",
  "javascript:alert(1)",
  "data:text/html,x",
  "",
])("%j is not followed", (address) => {
  expect(safeRedirect(address, HOSTS)).toBeNull()
})

test("no address is no target", () => {
  expect(safeRedirect(null, HOSTS)).toBeNull()
})
