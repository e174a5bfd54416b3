/** A company is set up, closed and opened again without SQL. */
import { beforeEach, describe, expect, test } from "vitest"
import { runOps } from "../../support/actions/commands.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { failPayment, messages } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  sql,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

const post = (path: string, body: object = {}, init: { readonly key?: string } = {}) =>
  api(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, ...init })

async function newCompany(fields: object = {}) {
  const id = fresh("company")
  const { status, body } = await post("/api/companies", { id, name: "Ada & Co", ...fields })
  expect([status, body.id]).toEqual([201, id])
  return id
}

const inCompany = (id: string) => ({ headers: { "x-company-id": id } })

/** A failed payment at the company's own endpoint. */
const failAt = (id: string, customer = fresh("cus")) =>
  failPayment(customer, fresh("in"), {}, { path: `/api/webhooks/stripe/${id}` })

describe("adding", () => {
  test("a company with its accounts is one call, and it is listed, newest first", async () => {
    const account = { provider: "stripe", accountId: fresh("acct").replace("_", "_1") }
    const id = await newCompany({ accounts: [account] })
    await advanceClock("PT1S")
    const later = await newCompany()
    expect(await api(`/api/companies/${id}`)).toMatchObject({
      status: 200,
      body: { id, name: "Ada & Co", accounts: [account], closedAt: null, closedBy: null },
    })
    const first = await api<{ data: { id: string }[]; nextCursor: string }>("/api/companies?limit=1")
    const second = await api<{ data: { id: string }[] }>(`/api/companies?limit=1&cursor=${first.body.nextCursor}`)
    expect([first.body.data[0]?.id, second.body.data[0]?.id]).toEqual([later, id])
    expect((await failAt(id)).status).toBe(200)
  })

  test.each([
    ["an id with a space", { id: "a b", name: "A" }],
    ["no name", { id: "acme", name: " " }],
    ["a name of two lines", { id: "acme", name: "A\nB" }],
    ["an account of another kind", { id: "acme", name: "A", accounts: [{ provider: "stripe", accountId: "biz_1" }] }],
    ["an unknown field", { id: "acme", name: "A", plan: "free" }],
  ])("refuses %s", async (_, body) => {
    expect((await post("/api/companies", body)).status).toBe(400)
    expect(await sql("select 1 from companies where id = 'acme'")).toEqual([])
  })

  test("an id or an account that is taken is refused, and nothing is added", async () => {
    const account = { provider: "whop", accountId: "biz_taken" }
    const id = await newCompany({ accounts: [account] })
    expect((await post("/api/companies", { id, name: "Other" })).status).toBe(409)
    const other = fresh("company")
    expect((await post("/api/companies", { id: other, name: "Other", accounts: [account] })).status).toBe(409)
    expect((await api(`/api/companies/${other}`)).status).toBe(404)
  })

  test("accounts are added and removed, and the name is changed", async () => {
    const [one, two] = ["acct_1one", "acct_1two"].map((accountId) => ({ provider: "stripe", accountId }))
    const id = await newCompany({ accounts: [one] })
    const put = (path: string, body: object) =>
      api(path, { method: "PUT", body: JSON.stringify(body), headers: { "content-type": "application/json" } })
    const change = { name: "Ada Ltd", addAccounts: [two], removeAccounts: [one] }
    expect((await put(`/api/companies/${id}`, change)).body).toMatchObject({ name: "Ada Ltd", accounts: [two] })
    expect((await put(`/api/companies/${id}`, { addAccounts: [two] })).body).toMatchObject({ accounts: [two] })
    const other = await newCompany()
    expect((await put(`/api/companies/${other}`, { addAccounts: [two] })).status).toBe(409)
    expect((await put("/api/companies/nobody", { name: "X" })).status).toBe(404)
  })

  test("only operators list, add, change and close companies; a company's people read their own", async () => {
    const id = await newCompany()
    const key = await newApiKey("admin", id)
    for (const [method, path] of [
      ["GET", "/api/companies"],
      ["POST", "/api/companies"],
      ["PUT", `/api/companies/${id}`],
      ["POST", `/api/companies/${id}/close`],
      ["POST", `/api/companies/${id}/open`],
    ] as const) {
      expect([path, (await api(path, { method, key })).status]).toEqual([path, 403])
    }
    expect((await api(`/api/companies/${id}`, { key })).status).toBe(200)
    expect((await api(`/api/companies/${world().companyId}`, { key })).status).toBe(404)
    expect((await api("/api/companies/nobody", { key })).status).toBe(404)
  })
})

describe("closing", () => {
  test("stops messages and jobs, refuses keys, holds deliveries, and opening resumes them", async () => {
    const id = await newCompany()
    const key = await newApiKey("admin", id)
    await failAt(id)
    await waitUntilProcessed()
    await messages(1)

    const closed = await post(`/api/companies/${id}/close`)
    expect(closed.body).toMatchObject({ id, closedBy: "admin", closedAt: expect.any(String) })
    await advanceClock("PT1M")
    expect((await api("/api/cases", { key })).status).toBe(403)
    expect((await api("/api/cases", inCompany(id))).status).toBe(404)
    expect((await api(`/api/companies/${id}`)).status).toBe(200)
    expect((await failAt(id)).status).toBe(200)
    await advanceClock("P5D")
    expect(await mailbox()).toHaveLength(1)
    const count = async (status: string) =>
      (
        await sql<{ n: number }>(
          "select count(*)::int as n from webhook_events where company_id = $1 and status = $2",
          [id, status],
        )
      )[0]?.n
    expect(await count("held")).toBe(1)

    expect((await post(`/api/companies/${id}/open`)).body).toMatchObject({ closedAt: null, closedBy: null })
    await advanceClock("PT3M")
    await waitUntilProcessed()
    expect(await count("held")).toBe(0)
    expect((await api("/api/cases", { key })).status).toBe(200)
  })

  test("a month later deliveries are answered as those of an unknown company", async () => {
    const id = await newCompany()
    await post(`/api/companies/${id}/close`)
    // As if it had been closed a month ago, but for a minute.
    const closedAt = new Date((await worldNow()).getTime() - 30 * 86_400_000 + 60_000)
    await sql("update companies set closed_at = $2 where id = $1", [id, closedAt])
    expect((await failAt(id)).status).toBe(200)
    await advanceClock("PT2M")
    expect((await failAt(id)).status).toBe(404)
  })

  test("is not possible for the default company, and repeating it changes nothing", async () => {
    expect((await post(`/api/companies/${world().companyId}/close`)).status).toBe(409)
    expect((await post("/api/companies/nobody/close")).status).toBe(404)
    const id = await newCompany()
    const first = await post(`/api/companies/${id}/close`)
    await advanceClock("PT1M")
    expect((await post(`/api/companies/${id}/close`)).body).toEqual(first.body)
  })

  test("one company leaves the others as they are", async () => {
    const [id, other] = [await newCompany(), await newCompany()]
    await post(`/api/companies/${id}/close`)
    await failAt(other)
    await waitUntilProcessed()
    await messages(1)
  })

  test("cannot be done by setting the flag", async () => {
    const put = await api("/api/flags/COMPANY_CLOSED", {
      method: "PUT",
      body: '{"enabled":false}',
      headers: { "content-type": "application/json" },
    })
    expect(put.status).toBe(409)
  })
})

describe("the checklist", () => {
  interface Checklist {
    readonly isDone: boolean
    readonly items: readonly { readonly item: string; readonly isDone: boolean; readonly at: string | null }[]
  }
  const items = async (id: string, key?: string) => {
    const { body } = await api<Checklist>(`/api/companies/${id}/onboarding`, key === undefined ? {} : { key })
    return Object.fromEntries(body.items.map(({ item, isDone }) => [item, isDone]))
  }

  test("is done step by step: a signed event, an approved address, a message to a person of the company, the switches", async () => {
    const id = await newCompany()
    const key = await newApiKey("admin", id)
    expect(await items(id, key)).toEqual({
      provider_connected: false,
      sender_verified: true,
      postal_address_set: false,
      first_message_sent: false,
      switches_set: true,
    })
    await failAt(id)
    expect((await items(id)).provider_connected).toBe(true)

    const put = (path: string, body: object, init: { readonly key?: string; readonly headers?: object } = {}) =>
      api(path, {
        ...{ method: "PUT", body: JSON.stringify(body), ...(init.key !== undefined && { key: init.key }) },
        headers: { "content-type": "application/json", ...init.headers },
      })
    const branding = {
      logo: null,
      accent: null,
      signature: null,
      replyTo: null,
      postalAddress: "1 Main St\nSpringfield",
    }
    expect((await put("/api/branding", { ...branding, version: 0 }, { key })).status).toBe(200)
    expect((await items(id)).postal_address_set).toBe(false)
    expect((await put("/api/branding/approval", { version: 1 }, inCompany(id))).status).toBe(200)
    expect((await items(id)).postal_address_set).toBe(true)

    expect((await post(`/api/companies/${id}/test-message`, {}, { key })).status).toBe(400)
    const person = await post("/api/people", { email: "eve@example.com", role: "admin" }, { key })
    const sent = await post(`/api/companies/${id}/test-message`, { personId: person.body.id }, { key })
    expect(sent).toMatchObject({ status: 200, body: { text: expect.stringContaining("Ada & Co") } })
    expect((await mailbox()).filter(({ to }) => to === "eve@example.com")).toHaveLength(2)
    expect((await api<Checklist>(`/api/companies/${id}/onboarding`)).body.isDone).toBe(true)
  })

  test("of another company is not shown, and no message goes to a person of another company", async () => {
    const [id, other] = [await newCompany(), await newCompany()]
    const key = await newApiKey("admin", other)
    expect((await api(`/api/companies/${id}/onboarding`, { key })).status).toBe(404)
    const person = await api<{ id: string }>("/api/people", {
      method: "POST",
      body: '{"email":"eve@example.com","role":"admin"}',
      headers: { "content-type": "application/json", "x-company-id": id },
    })
    expect((await post(`/api/companies/${other}/test-message`, { personId: person.body.id }, { key })).status).toBe(404)
  })
})

test("the commands add, change, show, close and list companies, and make, rotate and revoke keys", async () => {
  const id = fresh("company")
  const json = async (command: string, ...args: string[]) => JSON.parse(await runOps(command, ...args, "--json"))
  const whop = fresh("biz").replace("_", "_1")
  expect(await json("companies", "add", id, "--name", "Ada & Co", "--account", `whop ${whop}`)).toMatchObject({
    id,
    accounts: [{ provider: "whop", accountId: whop }],
    onboarding: { isDone: false },
  })
  expect(await json("companies", "change", id, "--remove-account", `whop:${whop}`)).toMatchObject({ accounts: [] })
  expect(await runOps("companies", "show", id)).toContain("✘ provider connected")
  await expect(runOps("companies", "add", id, "--name", "Again")).rejects.toThrow(/answered 409/)

  const made = await json("keys", "add", "--company", id, "--name", "CI", "--role", "admin")
  expect((await api("/api/cases", { key: made.key })).status).toBe(200)
  const rotated = await json("keys", "rotate", made.id, "--company", id, "--overlap", "0")
  expect([
    (await api("/api/cases", { key: made.key })).status,
    (await api("/api/cases", { key: rotated.key })).status,
  ]).toEqual([401, 200])
  expect(await runOps("keys", "list", "--company", id)).not.toContain(rotated.key)
  expect(await json("keys", "revoke", rotated.id, "--company", id)).toMatchObject({ isValid: false })
  expect(await json("keys", "add", "--name", "Grace", "--operator")).toMatchObject({ role: "operator" })

  expect((await json("companies", "close", id)).closedAt).not.toBeNull()
  expect(await runOps("companies", "list")).toMatch(new RegExp(`${id}.*closed`))
  expect((await json("companies", "open", id)).closedAt).toBeNull()
})
