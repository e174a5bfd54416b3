/** Drafts of a text model: asked for, read by a person, saved, sent; and every way in which there is no draft. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { app } from "../../../workers/app.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { failPayment, messages, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { api, control, reset, world } from "../../support/world/world.ts"

beforeEach(reset)

const OWN = { subject: "{brand} needs a new card" }

interface Suggested {
  readonly words: Readonly<Record<string, string>>
  readonly faults: readonly { readonly part: string; readonly reason: string }[]
  readonly model: string
  readonly detail?: string
}

const call = <T>(path: string, body: object, key?: string) =>
  api<T>(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    ...(key !== undefined && { key }),
  })

const suggest = (voice: string, key?: string) =>
  call<Suggested>("/api/templates/suggest", { caseKind: "payment", words: OWN, voice }, key)

const templates = async () => (await api<{ data: { words: object }[] }>("/api/templates")).body.data

test("a draft saves and sends nothing; a person saves it, and the next member reads it", async () => {
  const { status, body } = await suggest("warm and short")
  expect([status, body.model, body.faults]).toEqual([200, "local/stand-in", []])
  expect(body.words.subject).toBe("A quick note: {brand} needs a new card")
  expect(body.words.opening).toContain("warm and short")
  expect(await templates()).toEqual([])

  expect((await call("/api/templates", { caseKind: "payment", words: body.words })).status).toBe(201)
  const customer = fresh("cus")
  await sendNewCustomer(customer, { email: "ann@example.com" })
  await failPayment(customer, fresh("in"))
  const [message] = await messages(1)
  expect(message?.subject).toMatch(/^A quick note: .* needs a new card$/)
  expect(message?.body).toContain("This draft was written locally")
})

test("a part that a template would not accept is left out, with its fault", async () => {
  const { status, body } = await suggest("stand-in:link")
  expect(status).toBe(200)
  expect(body.faults).toEqual([{ part: "ask", reason: expect.stringContaining("it contains an address") }])
  expect(Object.keys(body.words).sort()).toEqual(["button", "opening", "short", "subject"])
})

describe("without a draft there is a clear sentence, and the template stays", () => {
  beforeEach(async () => {
    await call("/api/templates", { caseKind: "payment", words: OWN })
  })
  afterEach(async () => {
    await control("POST", "/faults", { target: "openrouter", mode: "off" })
    expect((await templates()).map(({ words }) => words)).toEqual([OWN])
  })

  test.each([
    ["the model refuses", "stand-in:refusal", 502, "declined"],
    ["moderation refuses", "stand-in:moderation", 502, "declined"],
    ["the answer is something else", "stand-in:garbage", 502, "something else than words"],
    ["the answer is cut off", "stand-in:cut-off", 502, "something else than words"],
    ["there is no credit", "stand-in:no-credits", 503, "not available"],
    ["the answer reports an error", "stand-in:error-in-answer", 503, "not available"],
  ])("%s", async (_, voice, status, detail) => {
    const refused = await suggest(voice)
    expect(refused.status).toBe(status)
    expect(refused.body.detail).toContain(detail)
  })

  test("the service is down", async () => {
    await control("POST", "/faults", { target: "openrouter", mode: "down" })
    expect((await suggest("warm")).status).toBe(503)
  })

  test("the service hangs: after the time-out", async () => {
    await control("POST", "/faults", { target: "openrouter", mode: "hang" })
    const refused = await suggest("warm")
    expect([refused.status, refused.body.detail]).toEqual([503, expect.stringContaining("not available")])
  }, 30_000)

  test("the caller may not write templates, or asks for something else", async () => {
    expect((await suggest("warm", await newApiKey("success-analyst"))).status).toBe(403)
    expect((await suggest("x".repeat(501))).status).toBe(400)
    const more = { caseKind: "payment", customerId: "cus_1" }
    expect((await call("/api/templates/suggest", more)).status).toBe(400)
  })
})

test("a deployment without a key has no button, and the API says so", async () => {
  const { OPENROUTER_API_KEY: _, ...vars } = world().vars
  const context = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} }
  const request = async (path: string, init: RequestInit) =>
    app.fetch(new Request(`${world().workerUrl}${path}`, init), vars, context)

  const signedIn = await request("/dashboard/sign-in/key", {
    method: "POST",
    body: new URLSearchParams({ key: world().adminApiKey, next: "/dashboard" }),
    headers: { origin: world().workerUrl, "sec-fetch-site": "same-origin" },
  })
  const cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(";")[0])
    .join("; ")
  const page = await (await request("/dashboard/templates/new", { headers: { cookie } })).text()
  expect(page).toContain("Preview")
  expect(page).not.toContain("Suggest words")

  const refused = await request("/api/templates/suggest", {
    method: "POST",
    body: JSON.stringify({ caseKind: "payment" }),
    headers: { authorization: `Bearer ${world().adminApiKey}`, "content-type": "application/json" },
  })
  expect(refused.status).toBe(409)
  expect(((await refused.json()) as { detail: string }).detail).toContain("no OPENROUTER_API_KEY")
})
