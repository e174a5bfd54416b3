/** Malicious and malformed requests to the dashboard. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { hiddenField, signedInWith, visitor } from "../../support/actions/dashboard.ts"
import { fresh } from "../../support/events/providers.ts"
import { api, reset, world } from "../../support/world/world.ts"

beforeEach(reset)

describe("bodies that are no forms", () => {
  const send = (path: string, body: string | null, contentType: string | null) =>
    fetch(new URL(path, world().workerUrl), {
      method: "POST",
      redirect: "manual",
      body,
      headers: { origin: world().workerUrl, ...(contentType !== null && { "content-type": contentType }) },
    })

  test.each(["/dashboard/sign-in/key", "/dashboard/sign-in/link", "/dashboard/settings", "/dashboard/nothing"])(
    "are refused at %s, signed in or not",
    async (path) => {
      for (const [body, contentType] of [
        ["{}", "application/json"],
        ["x", "multipart/form-data; boundary=b"],
        ["x", "multipart/form-data"],
        [null, null],
      ] as const) {
        expect([contentType, (await send(path, body, contentType)).status]).toEqual([contentType, 415])
      }
    },
  )

  test("a form with thousands of fields is not shown again", async () => {
    const { status, html } = await visitor().post(
      "/dashboard/settings",
      new URLSearchParams(Array.from({ length: 5_000 }, () => ["a", ""])),
    )
    expect(status).toBe(413)
    expect(html.length).toBeLessThan(5_000)
  })
})

describe("fields that no page of ours sends", () => {
  test("an idempotency key that no header can hold is a key as any other", async () => {
    const manager = await signedInWith(await newApiKey("success-manager"))
    for (const key of ["a\r\nx-company-id: other", "ключ"]) {
      expect((await manager.post("/dashboard/cases/payment_none/nudge", { key })).status, key).toBe(404)
    }
  })

  test.each<[string, Readonly<Record<string, string>>]>([
    ["an empty share", { percentage: "" }],
    ["a missing share", {}],
    ["a share that is no number", { percentage: "many" }],
  ])("%s does not switch a flag off", async (_, fields) => {
    const operator = await signedInWith(world().adminApiKey)
    const path = "/dashboard/flags/WEBHOOK_PROCESSING_ENABLED"
    const { status } = await operator.post(path, { enabled: "yes", reason: "attack", ...fields })
    expect(status).toBe(400)
  })
})

test("a form of a flag that somebody else has changed since is refused, and changes nothing", async () => {
  const name = "MODEL_DRIFT_DETECTION"
  const path = `/dashboard/flags/${name}`
  const operator = await signedInWith(world().adminApiKey)
  const form = async () => ({ percentage: "100", replaces: hiddenField((await operator.get(path)).html, "replaces") })
  const [first, second] = [await form(), await form()]
  expect(first.replaces).toBe("")
  expect((await operator.post(path, { ...first, enabled: "yes" })).html).toContain("The flag is set.")
  const stale = await operator.post(path, second)
  expect(stale.status).toBe(409)
  expect(stale.html).toContain("The flag was changed since this page was loaded.")
  expect((await api<{ enabled: boolean }>(`/api/flags/${name}`)).body.enabled).toBe(true)
  expect((await operator.post(path, await form())).html).toContain("The flag is set.")
  expect((await api<{ enabled: boolean }>(`/api/flags/${name}`)).body.enabled).toBe(false)
})

describe("exports", () => {
  test("a filter that is not known is refused before a file begins", async () => {
    const manager = await signedInWith(await newApiKey("success-manager"))
    const { status, headers, html } = await manager.get("/dashboard/cases/export?status=nonsense")
    expect(status).toBe(400)
    expect(headers.get("content-disposition")).toBeNull()
    expect(html).toContain("The query is not acceptable")
  })

  test("a role without permission gets no file", async () => {
    const analyst = await signedInWith(await newApiKey("success-analyst"))
    const { status, headers } = await analyst.get("/dashboard/events/export")
    expect(status).toBe(403)
    expect(headers.get("content-disposition")).toBeNull()
  })
})

describe("an operator with two tabs", () => {
  const companyIn = (html: string) => /name="company" value="([^"]*)"/.exec(html)?.[1] ?? ""
  const peopleOf = async (companyId: string) =>
    (await api<{ data: unknown[] }>("/api/people", { headers: { "x-company-id": companyId } })).body.data

  test("does not invite somebody to the company that was chosen in the other tab", async () => {
    const other = fresh("company")
    await addCompany(other)
    const operator = await signedInWith(world().adminApiKey)
    const company = companyIn((await operator.get("/dashboard/people")).html)
    expect(company).toBe(world().companyId)
    await operator.post(`/dashboard/companies/${other}/choose`)

    const form = { email: "ann@example.com", role: "admin" }
    const late = await operator.post("/dashboard/people", { ...form, company })
    expect(late.status).toBe(409)
    expect(late.html).toContain("Nothing was changed.")
    expect(await peopleOf(other)).toEqual([])

    const shown = companyIn((await operator.get("/dashboard/people")).html)
    expect(shown).toBe(other)
    expect((await operator.post("/dashboard/people", { ...form, company: shown })).status).toBe(200)
    expect(await peopleOf(other)).toHaveLength(1)
  })

  test("does not change the default company when the chosen one was closed", async () => {
    const other = fresh("company")
    await addCompany(other)
    const operator = await signedInWith(world().adminApiKey)
    await operator.post(`/dashboard/companies/${other}/choose`)
    const company = companyIn((await operator.get("/dashboard/people")).html)
    await operator.post(`/dashboard/companies/${other}/close`)
    const late = await operator.post("/dashboard/people", { email: "ann@example.com", role: "admin", company })
    expect(late.status).toBe(409)
    expect(await peopleOf(world().companyId)).toEqual([])
    expect((await operator.post(`/dashboard/companies/${other}/choose`)).status).toBe(409)
  })

  test("every form of a page names its company", async () => {
    const operator = await signedInWith(world().adminApiKey)
    for (const path of ["cases", "customers", "templates/new", "imports", "settings", "people"]) {
      const { html } = await operator.get(`/dashboard/${path}`)
      const forms = html.match(/<form[^>]*method="post"[^>]*>(?:<input[^>]*>)?/g) ?? []
      const changing = forms.filter((form) => !form.includes("sign-out"))
      for (const form of changing) expect(form, path).toContain(`name="company" value="${world().companyId}"`)
    }
  })
})

describe("made-up sessions", () => {
  test("are not looked up without end", async () => {
    const network = { "cf-connecting-ip": "203.0.113.77" }
    const ask = async (cookie: string) => {
      const response = await fetch(new URL("/dashboard", world().workerUrl), {
        redirect: "manual",
        headers: { ...network, cookie: `__Host-session=${cookie}` },
      })
      await response.body?.cancel()
      return response.status
    }
    const statuses = new Set<number>()
    for (let guess = 0; guess < 400 && !statuses.has(429); guess++) {
      statuses.add(await ask(`${world().companyId}.${String(guess).padStart(43, "A")}`))
    }
    expect([...statuses]).toEqual([303, 429])
    const elsewhere = await fetch(new URL("/dashboard/sign-in", world().workerUrl), { headers: network })
    expect(elsewhere.status).toBe(200)
  })
})
