/** The brand name in a company's messages from the deployment's sender. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment, messages, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, control, reset, sql, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

const JSON_TYPE = { "content-type": "application/json" }

interface BrandBody {
  readonly brandName: string | null
  readonly shownName: string
  readonly isWaiting: boolean
  readonly approved: readonly string[]
  readonly decisions: readonly { readonly name: string; readonly isApproved: boolean; readonly why?: string }[]
}

/** Another company, with calls of its admin and of the operator. */
async function another() {
  const id = fresh("company")
  await addCompany(id)
  const key = await newApiKey("admin", id)
  const asOperator = { "x-company-id": id }
  return {
    id,
    key,
    async choose(brandName: string | null) {
      const body = JSON.stringify({ brandName, quietHours: null, frequencyCaps: [] })
      const answer = await api("/api/settings", { key, method: "PUT", headers: JSON_TYPE, body })
      expect(answer.status).toBe(200)
    },
    decide: (name: string, more: object = {}) =>
      api<BrandBody>("/api/settings/brand/approval", {
        ...{ method: "PUT", headers: { ...JSON_TYPE, ...asOperator } },
        body: JSON.stringify({ name, reason: "seen the trade register", ...more }),
      }),
    brand: async () => (await api<BrandBody>("/api/settings/brand", { key })).body,
    /** The first message to a new member of the company. */
    async firstMessage(): Promise<string> {
      await control("DELETE", "/mailbox")
      const customer = fresh("cus")
      const path = `/api/webhooks/stripe/${id}`
      await failPayment(customer, fresh("in"), { more: { customer_email: `${customer}@example.com` } }, { path })
      await waitUntilProcessed()
      const [message] = await messages(1)
      expect(message?.to).toBe(`${customer}@example.com`)
      return JSON.stringify(message)
    },
  }
}

describe("a brand name of a company that uses the deployment's sender", () => {
  test("is in messages only after an operator has approved exactly it", async () => {
    const company = await another()
    await company.choose("Megabank")
    expect(await company.brand()).toMatchObject({
      ...{ brandName: "Megabank", shownName: "Another Company", isWaiting: true, approved: [], decisions: [] },
    })
    const before = await company.firstMessage()
    expect(before).toContain("Another Company")
    expect(before).not.toContain("Megabank")

    expect(await company.decide("Mega Bank")).toMatchObject({ status: 200, body: { isWaiting: true } })
    expect(await company.firstMessage()).not.toContain("Megabank")
    expect(await company.decide("Megabank")).toMatchObject({
      ...{ status: 200, body: { shownName: "Megabank", isWaiting: false, approved: ["Megabank", "Mega Bank"] } },
    })
    expect(await company.firstMessage()).toContain("Megabank")
  })

  test("is the last approved one while a changed one waits, and not a revoked one", async () => {
    const company = await another()
    await company.choose("Ada Fitness")
    await company.decide("Ada Fitness")
    await company.choose("Ada's Bank")
    const waiting = await company.firstMessage()
    expect(waiting).toContain("Ada Fitness")
    expect(waiting).not.toContain("Bank")
    await advanceClock("PT1S")
    const back = await company.decide("Ada Fitness", { isApproved: false, reason: "a mistake" })
    expect(back.body).toMatchObject({ shownName: "Another Company", isWaiting: true, approved: [] })
    expect(back.body.decisions.map(({ isApproved, why }) => [isApproved, why])).toEqual([
      [false, "a mistake"],
      [true, "seen the trade register"],
    ])
    expect(await company.firstMessage()).not.toMatch(/Ada|Bank/)
    expect(await sql("select name, is_approved, who from brand_decisions order by at")).toEqual([
      { name: "Ada Fitness", is_approved: true, who: "admin" },
      { name: "Ada Fitness", is_approved: false, who: "admin" },
    ])
    // Only the operator sees who decided, and why.
    expect((await company.brand()).decisions.every((decision) => !("why" in decision || "who" in decision))).toBe(true)
  })

  test("is approved by operators only, for a company that exists, with a name and a reason", async () => {
    const company = await another()
    await company.choose("Megabank")
    const ask = (key: string, body: object) =>
      api("/api/settings/brand/approval", { key, method: "PUT", headers: JSON_TYPE, body: JSON.stringify(body) })
    const right = { name: "Megabank", reason: "mine" }
    for (const role of ["admin", "success-manager", "success-analyst"] as const) {
      expect([role, (await ask(await newApiKey(role, company.id), right)).status]).toEqual([role, 403])
    }
    expect((await ask(await newApiKey("admin"), right)).status).toBe(403)
    const operator = world().adminApiKey
    for (const wrong of [
      {},
      { name: "Megabank" },
      { reason: "x" },
      { ...right, name: "two\nlines" },
      { ...right, more: 1 },
    ]) {
      expect((await ask(operator, wrong)).status).toBe(400)
    }
    const nobody = { ...JSON_TYPE, "x-company-id": "nobody" }
    const body = JSON.stringify(right)
    expect((await api("/api/settings/brand/approval", { method: "PUT", headers: nobody, body })).status).toBe(404)
    expect(await sql("select 1 from brand_decisions")).toEqual([])
    expect(await company.brand()).toMatchObject({ isWaiting: true })
    // What is approved for one company is approved for no other.
    const other = await another()
    await other.choose("Megabank")
    await company.decide("Megabank")
    expect(await other.brand()).toMatchObject({ isWaiting: true, approved: [] })
  })
})

test("the default company's own name needs no approval: its settings are the operator's", async () => {
  const body = JSON.stringify({ brandName: "Ada Fitness", quietHours: null })
  expect((await api("/api/settings", { method: "PUT", headers: JSON_TYPE, body })).status).toBe(200)
  expect((await api<BrandBody>("/api/settings/brand")).body).toMatchObject({
    shownName: "Ada Fitness",
    isWaiting: false,
  })
  const customer = fresh("cus")
  await sendNewCustomer(customer, { email: "ann@example.com" })
  await failPayment(customer, fresh("in"))
  await waitUntilProcessed()
  expect(JSON.stringify(await messages(1))).toContain("Ada Fitness")
})
