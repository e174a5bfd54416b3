/** Every answer of every route has security headers; pages for members have their own policy. */
import { expect, test } from "vitest"
import { app } from "../../../workers/app.ts"
import { world } from "../../support/world/world.ts"

const routes = [...new Set(app.routes.filter(({ method }) => method !== "ALL").map((r) => `${r.method} ${r.path}`))]

const PLAIN: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
}

/** Pages whose policy allows their own style. */
const isPage = (path: string): boolean => /^\/(?:r|unsubscribe|thanks)(?:\/|$)/.test(path)

/** Its forms need their `Origin`, which browsers leave out under the policy `no-referrer`. */
const isDashboard = (path: string): boolean => /^\/dashboard(?:\/|$)/.test(path)

function expectSecure(headers: Headers, path: string): void {
  for (const [name, value] of Object.entries(PLAIN)) {
    const expected = name === "referrer-policy" && isDashboard(path) ? "same-origin" : value
    expect([path, name, headers.get(name)]).toEqual([path, name, expected])
  }
  const policy = headers.get("content-security-policy") ?? ""
  expect(policy, path).toMatch(/^default-src 'none'; /)
  expect(policy, path).toContain("frame-ancestors 'none'")
  expect(policy, path).toContain("base-uri 'none'")
  expect(policy, path).not.toMatch(/unsafe|script-src/)
  if (!isPage(path)) expect(policy, path).toContain(isDashboard(path) ? "form-action 'self'" : "form-action 'none'")
  expect(headers.get("x-powered-by")).toBeNull()
}

const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
  fetch(`${world().workerUrl}${path}`, { method, headers, redirect: "manual" })

test("every route, without a key and with one", async () => {
  expect(routes.length).toBeGreaterThan(60)
  for (const route of routes) {
    const [method = "", pattern = ""] = route.split(" ")
    // An unknown name, so that no action has an effect.
    const path = pattern.replaceAll(/:[a-zA-Z]+/g, "none")
    expectSecure((await ask(method, path)).headers, path)
    const isPlainRead = method === "GET" && path !== "/api/training/export"
    if (isPlainRead)
      expectSecure((await ask(method, path, { authorization: `Bearer ${world().adminApiKey}` })).headers, path)
  }
})

test.each([
  ["GET", "/none"],
  ["DELETE", "/api/cases"],
  ["OPTIONS", "/api/cases"],
  ["HEAD", "/api/health/live"],
])("%s %s, which is no route", async (method, path) => {
  expectSecure((await ask(method, path)).headers, path)
})

test("a page for a member allows its own style by a nonce, and nothing else", async () => {
  const { headers } = await ask("GET", "/thanks")
  expectSecure(headers, "/thanks")
  expect(headers.get("content-security-policy")).toMatch(/style-src 'nonce-[^']+'/)
})
