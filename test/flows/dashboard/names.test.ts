/** Customers by name: names are sealed, and found through a blind index of their words. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { api, control, reset, sql, waitFor, waitUntilProcessed } from "../../support/world/world.ts"

beforeEach(reset)

async function customerNamed(name: string): Promise<string> {
  const customer = fresh("cus")
  await sendNewCustomer(customer, { name, email: `${customer}@example.com` })
  await waitUntilProcessed()
  return `stripe_${customer}`
}

/** The ids of the customers that the API finds. */
async function found(body: object, key?: string): Promise<readonly string[]> {
  const answer = await api<{ data: readonly { id: string }[] }>("/api/customers/search", {
    ...(key !== undefined && { key }),
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })
  expect(answer.status).toBe(200)
  return answer.body.data.map(({ id }) => id).sort()
}

describe("a search by name", () => {
  test("finds customers by any words of their name, in any spelling", async () => {
    const [jose, ann] = [await customerNamed("José María Groß"), await customerNamed("Ann Maria Smith")]
    expect(await found({ name: "jose" })).toEqual([jose])
    expect(await found({ name: "GROSS, José" })).toEqual([jose])
    expect(await found({ name: "maria" })).toEqual([jose, ann].sort())
    expect(await found({ name: "Ann Groß" })).toEqual([])
    expect(await found({ name: "An" })).toEqual([])
    expect(await found({ name: "!" })).toEqual([])
    expect(await found({ name: "maria", email: `${ann.replace("stripe_", "")}@example.com` })).toEqual([ann])
  })

  test("follows a change of the name", async () => {
    const customer = fresh("cus")
    await sendNewCustomer(customer, { name: "Ann Smith", email: "ann@example.com" })
    await waitUntilProcessed()
    await control("POST", "/clock", { advance: "PT1M" })
    await sendNewCustomer(customer, { name: "Ann Jones", email: "ann@example.com" })
    await waitUntilProcessed()
    expect(await found({ name: "smith" })).toEqual([])
    expect(await found({ name: "jones" })).toEqual([`stripe_${customer}`])
  })

  test("finds nobody of another company, and the database holds no name", async () => {
    await customerNamed("Ann Smith")
    await addCompany("other_company")
    expect(await found({ name: "smith" }, await newApiKey("admin", "other_company"))).toEqual([])
    const rows = await sql<{ text: string }>("select encode(name, 'escape') as text from customer_names")
    expect(rows).toHaveLength(2)
    for (const { text } of rows) expect(text).not.toMatch(/ann|smith/i)
  })

  test("finds contacts that were stored before there was an index, after sweep", async () => {
    const ann = await customerNamed("Ann Smith")
    await sql("delete from customer_names")
    await sql("update customer_pii set names_version = null")
    expect(await found({ name: "ann" })).toEqual([])
    await control("POST", "/clock", { advance: "PT2M" })
    await waitFor(async () => (await sql("select from customer_names")).length === 2)
    expect(await found({ name: "ann" })).toEqual([ann])
  })

  test("finds nobody whose contact was erased", async () => {
    const ann = await customerNamed("Ann Smith")
    await sql("delete from customer_pii where customer_id = $1", [ann])
    expect(await sql("select from customer_names")).toEqual([])
    expect(await found({ name: "ann" })).toEqual([])
  })

  test("is on the page of customers for those who may see names, and not in its address", async () => {
    const ann = await customerNamed("Ann Smith")
    const manager = await signedInWith(await newApiKey("success-manager"))
    expect((await manager.post("/dashboard/customers/search", { name: "smith" })).html).toContain(ann)
    expect((await manager.post("/dashboard/customers/search", {})).status).toBe(400)
    const analyst = await signedInWith(await newApiKey("success-analyst"))
    expect((await analyst.post("/dashboard/customers/search", { name: "smith" })).status).toBe(403)
    expect((await analyst.get("/dashboard/customers")).html).not.toContain('name="name"')
  })
})
