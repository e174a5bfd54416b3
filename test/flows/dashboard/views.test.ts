/** Saved views of the list of cases: one saves, everybody of the company uses, nobody else sees. */
import { beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { api, reset } from "../../support/world/world.ts"

beforeEach(reset)

const PATH = "/dashboard/cases"

const stored = async () => (await api<{ data: { id: string; name: string; filter: object }[] }>("/api/views")).body.data

test("a manager saves the current filter by a name, an analyst follows the link, and it is deleted again", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  const list = await manager.get(`${PATH}?status=open&kind=payment&declineCode=`)
  expect(list.html).toContain('action="/dashboard/cases/views"')
  const view = { name: "Open <b>payments</b>", status: "open", kind: "payment" }
  expect((await manager.post(`${PATH}/views`, view)).html).toContain("Saved.")
  const [saved] = await stored()
  expect(saved).toMatchObject({ name: view.name, filter: { status: "open", kind: "payment" } })

  const analyst = await signedInWith(await newApiKey("success-analyst"))
  const { html } = await analyst.get(PATH)
  expect(html).toContain('href="/dashboard/cases?kind=payment&amp;status=open"')
  expect(html).toContain("Open &lt;b&gt;payments&lt;/b&gt;")
  expect(html).not.toContain("Change saved views")
  expect((await analyst.get(`${PATH}?kind=payment&status=open`)).html).toContain('aria-current="page">Open')
  expect((await analyst.post(`${PATH}/views/${saved?.id}/delete`)).status).toBe(403)

  expect((await manager.post(`${PATH}/views/${saved?.id}/delete`)).html).toContain("Deleted.")
  expect(await stored()).toEqual([])
  expect((await manager.post(`${PATH}/views/${saved?.id}/delete`)).status).toBe(404)
})

test("a name is used once, and a filter is one of the list", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  await manager.post(`${PATH}/views`, { name: "Mine", status: "open" })
  const again = await manager.post(`${PATH}/views`, { name: "Mine", status: "lost" })
  expect(again.status).toBe(409)
  expect(again.html).toContain("There is a view of that name already.")
  for (const fields of [
    { name: "No filter" },
    { name: "x", status: "never" },
    { name: "x", other: "1" },
    { name: " " },
  ]) {
    expect([fields, (await manager.post(`${PATH}/views`, fields as Record<string, string>)).status]).toEqual([
      fields,
      400,
    ])
  }
  expect(await stored()).toMatchObject([{ name: "Mine", filter: { status: "open" } }])
})

test("views are the company's own, and no more than can be shown", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  for (let number = 0; number < 50; number++) {
    expect((await manager.post(`${PATH}/views`, { name: `View ${number}`, heldOut: "true" })).status).toBe(200)
  }
  const beyond = await manager.post(`${PATH}/views`, { name: "One more", heldOut: "true" })
  expect(beyond.status).toBe(409)
  expect(beyond.html).toContain("at most 50 views")

  await addCompany("other_company")
  const stranger = await signedInWith(await newApiKey("admin", "other_company"))
  expect((await stranger.get(PATH)).html).not.toContain("View 1")
  const [first] = await stored()
  expect((await stranger.post(`${PATH}/views/${first?.id}/delete`)).status).toBe(404)
  expect(await stored()).toHaveLength(50)
  // The name is free in another company.
  expect((await stranger.post(`${PATH}/views`, { name: "View 1", status: "open" })).html).toContain("Saved.")
})
