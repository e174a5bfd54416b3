/** The dashboard over HTTP: who sees and does what, and what happens to forms that come late, twice or from elsewhere. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey, type Role } from "../../support/actions/companies.ts"
import { decoded, signedInWith, visitor } from "../../support/actions/dashboard.ts"
import { caseOf, failPayment, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { advanceClock, api, mailbox, reset, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

const PAGES = [
  "/dashboard",
  "/dashboard/cases",
  "/dashboard/customers",
  "/dashboard/messages",
  "/dashboard/templates",
  "/dashboard/segments",
  "/dashboard/interventions",
  "/dashboard/models",
  "/dashboard/events",
  "/dashboard/imports",
  "/dashboard/jobs",
  "/dashboard/flags",
  "/dashboard/set-up",
  "/dashboard/settings",
  "/dashboard/credentials",
  "/dashboard/people",
  "/dashboard/companies",
]

const ANALYST = [
  "/dashboard",
  "/dashboard/cases",
  "/dashboard/customers",
  "/dashboard/messages",
  "/dashboard/interventions",
]
const MANAGER = [
  ...ANALYST,
  "/dashboard/models",
  "/dashboard/templates",
  "/dashboard/events",
  "/dashboard/imports",
  "/dashboard/set-up",
  "/dashboard/settings",
]
const ADMIN = [...MANAGER, "/dashboard/flags", "/dashboard/credentials", "/dashboard/people"]

/** A member whose payment failed, and the case. */
async function failedMember(email = "ann@example.com") {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await sendNewCustomer(customer, { email })
  await failPayment(customer, invoice)
  await waitUntilProcessed()
  return { customer, invoice, caseId: `payment_${invoice}` }
}

describe("signing in", () => {
  test("every page leads to the sign-in page, and from there back", async () => {
    const someone = visitor()
    for (const path of PAGES) expect((await someone.get(path)).html, path).toContain("Sign in to Churn Saver")
    const { html } = await someone.post("/dashboard/sign-in/key", { key: world().adminApiKey, next: "/dashboard/jobs" })
    expect(html).toContain("<h1>Jobs</h1>")
  })

  test.each([
    "https://evil.example",
    "//evil.example",
    "/dashboard//evil.example",
    "/api/cases",
    "/dashboard/../api/cases",
    "/dashboard/%2e%2e/%2fevil.example",
    "/dashboard/.%2E/c",
    "javascript:alert(1)",
  ])("does not lead to %s", async (next) => {
    const { html } = await visitor().post("/dashboard/sign-in/key", { key: world().adminApiKey, next })
    expect(html).toContain("<h1>Overview</h1>")
  })

  test("a wrong key is refused, and nothing is kept", async () => {
    const someone = visitor()
    const { status, html } = await someone.post("/dashboard/sign-in/key", { key: "wrong" })
    expect(status).toBe(401)
    expect(html).toContain("The key is not known.")
    expect((await someone.get("/dashboard")).html).toContain("Sign in to Churn Saver")
  })

  test("signing out ends the session in the browser and in the database", async () => {
    const someone = await signedInWith(world().adminApiKey)
    await someone.post("/dashboard/sign-out")
    expect((await someone.get("/dashboard")).html).toContain("Sign in to Churn Saver")
  })

  test("whoever comes from another site comes again from here, with the cookie", async () => {
    const { html } = await visitor().get("/dashboard/cases", { "sec-fetch-site": "cross-site" })
    expect(html).toContain('http-equiv="refresh"')
    const again = await visitor().get("/dashboard/cases", { "sec-fetch-site": "same-origin" })
    expect(again.html).toContain("Sign in to Churn Saver")
  })
})

/** The only script, of pages that show changes. */
const LIVE_SCRIPT = '<script type="module" src="/dashboard/live.js"></script>'

describe("pages", () => {
  test("all are shown to an operator, with nothing inline and nothing kept by caches", async () => {
    await failedMember()
    await setSwitchForAll("ADVANCED_SEGMENTATION", true)
    const operator = await signedInWith(world().adminApiKey)
    for (const path of PAGES) {
      const { status, headers, html } = await operator.get(path)
      expect(status, path).toBe(200)
      expect(headers.get("content-security-policy"), path).toContain("default-src 'none'")
      expect(headers.get("cache-control"), path).toBe("no-store")
      expect(html, path).toMatch(/^<!doctype html>/)
      expect(html.replace(LIVE_SCRIPT, ""), path).not.toMatch(/<script|style="|<style|onclick/i)
    }
  })

  test.each<[Role, readonly string[]]>([
    ["success-analyst", ANALYST],
    ["success-manager", MANAGER],
    ["admin", ADMIN],
  ])("%s sees the pages of the role, and the navigation lists no others", async (role, allowed) => {
    const someone = await signedInWith(await newApiKey(role))
    for (const path of PAGES) {
      const { status, html } = await someone.get(path)
      // Where a company has not switched segments on, nobody sees them.
      if (path === "/dashboard/segments") continue
      expect([path, status]).toEqual([path, allowed.includes(path) ? 200 : 403])
      if (allowed.includes(path)) expect(html).not.toContain('href="/dashboard/companies"')
    }
  })

  test("an unknown path shows an error page, or the sign-in page without a session", async () => {
    const operator = await signedInWith(world().adminApiKey)
    for (const path of ["/dashboard/no-such-page", "/dashboard/cases/payment_no_such_case", "/dashboard/cases/x/y/z"]) {
      const page = await operator.get(path)
      expect([path, page.status]).toEqual([path, 404])
      expect(page.html).toContain("<h1>Request failed</h1>")
    }
    const signedOut = await fetch(`${world().workerUrl}/dashboard/no-such-page`, { redirect: "manual" })
    expect([signedOut.status, signedOut.headers.get("location")]).toEqual([
      303,
      "/dashboard/sign-in?next=%2Fdashboard%2Fno-such-page",
    ])
  })

  test("an analyst sees no name and no address", async () => {
    const { customer } = await failedMember("ann.secret@example.com")
    const analyst = await signedInWith(await newApiKey("success-analyst"))
    for (const path of ["/dashboard/customers", `/dashboard/customers/${customer}`, "/dashboard/customers/export"]) {
      const { status, html } = await analyst.get(path)
      expect(status, path).toBe(200)
      expect(html, path).not.toContain("ann.secret")
      expect(html, path).not.toContain("Ann Example")
    }
    expect((await analyst.post("/dashboard/customers/search", { email: "ann.secret@example.com" })).status).toBe(403)
  })

  test("nothing of another company is shown or changed", async () => {
    const { caseId, customer } = await failedMember()
    await addCompany("other_company")
    const admin = await signedInWith(await newApiKey("admin", "other_company"))
    expect((await admin.get("/dashboard/cases")).html).toContain("No case matches.")
    for (const path of [`/dashboard/cases/${caseId}`, `/dashboard/customers/${customer}`]) {
      expect((await admin.get(path)).status, path).toBe(404)
    }
    for (const path of [`/dashboard/cases/${caseId}/nudge`, `/dashboard/cases/${caseId}/close`]) {
      expect((await admin.post(path)).status, path).toBe(404)
    }
    expect((await admin.get("/dashboard/cases/export")).html.trim().split("\r\n")).toHaveLength(1)
    expect((await admin.post("/dashboard/customers/search", { email: "ann@example.com" })).html).toContain(
      "No customer matches.",
    )
  })

  test("names cannot bring markup into a page", async () => {
    const customer = fresh("cus")
    await sendNewCustomer(customer, { name: "<script>alert(1)</script>", email: "x@example.com" })
    await waitUntilProcessed()
    const manager = await signedInWith(await newApiKey("success-manager"))
    const { html } = await manager.get(`/dashboard/customers/${customer}`)
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;")
    expect(html).not.toContain("<script>")
  })
})

describe("actions", () => {
  test("a message by hand is sent once, however often the form is sent", async () => {
    const { caseId } = await failedMember()
    await advanceClock("P1D")
    const before = (await mailbox()).filter(({ channel }) => channel !== "slack").length
    const manager = await signedInWith(await newApiKey("success-manager"))
    const { html } = await manager.get(`/dashboard/cases/${caseId}`)
    const [, key = ""] = /name="key" value="([^"]+)"/.exec(html) ?? []
    const answers = [
      await manager.post(`/dashboard/cases/${caseId}/nudge`, { key, channel: "" }),
      await manager.post(`/dashboard/cases/${caseId}/nudge`, { key, channel: "" }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers[0]?.html).toContain("The message is being sent.")
    await waitUntilProcessed()
    expect((await mailbox()).filter(({ channel }) => channel !== "slack")).toHaveLength(before + 1)
  })

  test("two people who close one case both see it closed", async () => {
    const { caseId, invoice } = await failedMember()
    const people = await Promise.all(
      [newApiKey("success-manager"), newApiKey("admin")].map(async (key) => signedInWith(await key)),
    )
    for (const person of people) {
      expect((await person.post(`/dashboard/cases/${caseId}/close`)).html).toContain("The case is closed.")
    }
    expect(await caseOf(invoice)).toMatchObject({ status: "lost" })
  })

  test("a form of another site is refused, whatever it says", async () => {
    const { caseId, invoice } = await failedMember()
    const manager = await signedInWith(await newApiKey("success-manager"))
    for (const headers of [
      { origin: "https://evil.example" },
      { "sec-fetch-site": "cross-site" },
      { origin: "null" },
    ]) {
      expect((await manager.post(`/dashboard/cases/${caseId}/close`, {}, headers)).status).toBe(403)
    }
    expect(await caseOf(invoice)).toMatchObject({ status: "open" })
  })

  test("a form that is sent with an ended session is kept, to be sent again", async () => {
    await failedMember()
    const admin = await signedInWith(await newApiKey("admin"))
    admin.forget()
    const { status, html } = await admin.post("/dashboard/settings", { brandName: "Typed <b>long</b>", version: "x" })
    expect(status).toBe(401)
    expect(html).toContain('name="brandName" value="Typed &lt;b&gt;long&lt;/b&gt;"')
    expect(html).toContain('action="/dashboard/settings"')
  })

  test("settings that somebody else changed meanwhile are not overwritten", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    const { html } = await admin.get("/dashboard/settings")
    const [, version = ""] = /name="version" value="([^"]+)"/.exec(html) ?? []
    const form = { version: decoded(version), timeZone: "Europe/Berlin", invoiceAgeDaysMax: "60" }
    expect((await admin.post("/dashboard/settings", form)).html).toContain("Saved.")
    const late = await admin.post("/dashboard/settings", { ...form, timeZone: "Asia/Tokyo" })
    expect(late.status).toBe(409)
    expect(late.html).toContain("The settings were changed by another user")
    expect((await api("/api/settings")).body).toMatchObject({ timeZone: "Europe/Berlin" })
  })

  test("many cases are closed after a dry run that says what would happen", async () => {
    const members = [await failedMember("a@example.com"), await failedMember("b@example.com")]
    const manager = await signedInWith(await newApiKey("success-manager"))
    await manager.post(`/dashboard/cases/${members[0]?.caseId}/close`)
    const chosen = new URLSearchParams({ action: "close" })
    for (const { caseId } of members) chosen.append("caseId", caseId)

    const dryRun = await manager.post("/dashboard/cases/bulk", chosen)
    expect(dryRun.html).toContain("1 of 2 cases would change. Nothing has changed yet.")
    expect(dryRun.html).toContain("The case is closed already.")
    expect(await caseOf(members[1]?.invoice ?? "")).toMatchObject({ status: "open" })

    const confirmed = new URLSearchParams({
      action: "close",
      step: "confirmed",
      key: "k1",
      caseId: members[1]?.caseId ?? "",
    })
    expect((await manager.post("/dashboard/cases/bulk", confirmed)).html).toContain("1 of 1 cases changed.")
    expect(await caseOf(members[1]?.invoice ?? "")).toMatchObject({ status: "lost" })
  })

  test("a customer is found by an address in any spelling", async () => {
    await failedMember("Ann.Smith@Example.com")
    const manager = await signedInWith(await newApiKey("success-manager"))
    expect((await manager.post("/dashboard/customers/search", { email: "ann.smith@EXAMPLE.com " })).html).toContain(
      "Ann.Smith@Example.com",
    )
  })

  test("a list is exported with its filters", async () => {
    const { caseId } = await failedMember()
    const manager = await signedInWith(await newApiKey("success-manager"))
    const { headers, html } = await manager.get("/dashboard/cases/export?status=open")
    expect(headers.get("content-disposition")).toMatch(/^attachment; filename="cases-\d{4}-\d\d-\d\d\.csv"$/)
    const [head = "", row = "", ...rest] = html.trim().split("\r\n")
    expect(head.split(",").slice(0, 3)).toEqual(["id", "kind", "status"])
    expect(row.split(",").slice(0, 3)).toEqual([caseId, "payment", "open"])
    expect(rest).toEqual([])
    expect((await manager.get("/dashboard/cases/export?status=lost")).html.trim().split("\r\n")).toHaveLength(1)
  })
})
