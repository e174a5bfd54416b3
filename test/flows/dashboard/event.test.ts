/** One event: its fields for those who see events, and its decrypted payload for those who may read it. */
import { beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { api, reset, sql, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

/** A failed payment's event. */
async function event() {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const { body } = await failPayment(customer, invoice)
  await waitUntilProcessed()
  return { id: String(body.id), customer, invoice }
}

test("is shown with its fields, and its payload when an admin or an operator asks for it", async () => {
  const { id, customer, invoice } = await event()
  for (const key of [await newApiKey("admin"), world().adminApiKey]) {
    const reader = await signedInWith(key)
    expect((await reader.get("/dashboard/events")).html).toContain(`href="/dashboard/events/${id}"`)
    const { status, html } = await reader.get(`/dashboard/events/${id}`)
    expect(status).toBe(200)
    for (const text of ["invoice.payment_failed", "processed", `stripe_${customer}`, "Show the payload"]) {
      expect(html).toContain(text)
    }
    expect(html).not.toContain(invoice)
    const opened = await reader.get(`/dashboard/events/${id}/payload`)
    expect(opened.html).toContain(invoice)
    expect(opened.headers.get("cache-control")).toBe("no-store")
  }
  const { body } = await api<{ id: string; payload: string }>(`/api/events/${id}/payload`)
  expect(body.id).toBe(id)
  expect(JSON.parse(body.payload)).toMatchObject({ type: "invoice.payment_failed", data: { object: { id: invoice } } })
})

test("has no payload for a manager, nor for another company", async () => {
  const { id, invoice } = await event()
  const manager = await signedInWith(await newApiKey("success-manager"))
  const { status, html } = await manager.get(`/dashboard/events/${id}`)
  expect(status).toBe(200)
  expect(html).not.toContain("Show the payload")
  const refused = await manager.get(`/dashboard/events/${id}/payload`)
  expect(refused.status).toBe(403)
  expect(refused.html).not.toContain(invoice)

  await addCompany("other_company")
  const stranger = await signedInWith(await newApiKey("admin", "other_company"))
  for (const path of [`/dashboard/events/${id}`, `/dashboard/events/${id}/payload`]) {
    expect([path, (await stranger.get(path)).status]).toEqual([path, 404])
  }
})

test("whose payload was purged says so", async () => {
  const { id } = await event()
  await sql("update webhook_events set payload = null where id = $1", [id])
  const admin = await signedInWith(await newApiKey("admin"))
  const { status, html } = await admin.get(`/dashboard/events/${id}/payload`)
  expect(status).toBe(409)
  expect(html).toContain("The payload of this event is no longer kept.")
  expect((await admin.get(`/dashboard/events/${id}`)).status).toBe(200)
})
