/** The credentials page: a company sets, checks and deletes its own access, and no key is ever in a page. */
import { beforeEach, describe, expect, test } from "vitest"
import { keyOfAccount } from "../../../local/own-key.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { api, reset, world } from "../../support/world/world.ts"

beforeEach(reset)

const PATH = "/dashboard/credentials"

/** Keys of an account in the local world. */
const stripeKey = () => keyOfAccount(world().vars.STRIPE_API_KEY ?? "", "acct_ada")
const sendgridKey = () => keyOfAccount(world().vars.SENDGRID_API_KEY ?? "", "ada")

const stored = async (kind: string) => {
  const { status, body } = await api<Record<string, unknown>>(`/api/credentials/${kind}`)
  return status === 200 ? body : status
}

describe("an admin", () => {
  test("sets, checks, replaces and deletes a credential, and no page shows the key", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    const pages = [
      await admin.post(`${PATH}/sendgrid`, { apiKey: sendgridKey(), from: "Ada <pay@ada.example>", replyTo: "" }),
      await admin.post(`${PATH}/sendgrid/check`),
      await admin.get(PATH),
    ]
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(pages[0]?.html).toContain("Saved.")
    expect(pages[1]?.html).toContain("The credential was checked.")
    expect(await stored("sendgrid")).toMatchObject({
      checkResult: "ok",
      shown: { apiKey: "…_ada", from: "Ada <pay@ada.example>", replyTo: null },
    })
    for (const { html } of pages) {
      expect(html).not.toContain(sendgridKey())
      expect(html).toContain("Ada &lt;pay@ada.example&gt;")
    }

    // What is not secret is filled in; the key is entered again.
    expect(pages[2]?.html).toContain('name="from" value="Ada &lt;pay@ada.example&gt;"')
    const replaced = { apiKey: sendgridKey(), from: "pay@ada.example", replyTo: "help@ada.example" }
    expect((await admin.post(`${PATH}/sendgrid`, replaced)).html).toContain("Saved.")
    expect(await stored("sendgrid")).toMatchObject({ shown: { from: "pay@ada.example", replyTo: "help@ada.example" } })

    expect((await admin.post(`${PATH}/sendgrid/delete`)).html).toContain("Deleted.")
    expect(await stored("sendgrid")).toBe(404)
  })

  test("reads why a credential is refused, and it is not stored", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    const wrong = "sk_test_of_nobody_0123456789"
    const refused = await admin.post(`${PATH}/stripe`, { apiKey: wrong })
    expect(refused.status).toBe(409)
    expect(refused.html).toContain("The service refuses this credential")
    const malformed = await admin.post(`${PATH}/twilio`, { accountSid: "AC1", authToken: wrong, from: "+15005550006" })
    expect(malformed.status).toBe(400)
    expect(malformed.html).toContain("accountSid: expected AC and 32 hexadecimal digits")
    for (const { html } of [refused, malformed]) expect(html).not.toContain(wrong)
    expect([await stored("stripe"), await stored("twilio")]).toEqual([404, 404])
    expect((await admin.post(`${PATH}/nothing`, {})).status).toBe(404)
  })

  test("is offered no link domain, which only an operator sets", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    expect((await admin.get(PATH)).html).not.toContain('action="/dashboard/credentials/link-domain"')
    expect((await admin.post(`${PATH}/link-domain`, { domain: "pay.ada.example" })).status).toBe(403)
    const operator = await signedInWith(world().adminApiKey)
    expect((await operator.post(`${PATH}/link-domain`, { domain: "pay.ada.example" })).html).toContain("Saved.")
    expect(await stored("link-domain")).toMatchObject({ shown: { domain: "pay.ada.example" } })
  })
})

test("a manager neither sees nor sets credentials", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  expect((await manager.get(PATH)).status).toBe(403)
  expect((await manager.post(`${PATH}/stripe`, { apiKey: stripeKey() })).status).toBe(403)
  expect((await manager.post(`${PATH}/stripe/check`)).status).toBe(403)
  expect((await manager.post(`${PATH}/stripe/delete`)).status).toBe(403)
})

test("a key that is sent with an ended session is not in the answer, and is entered again", async () => {
  const admin = await signedInWith(await newApiKey("admin"))
  admin.forget()
  const { status, html } = await admin.post(`${PATH}/sendgrid`, { apiKey: sendgridKey(), from: "pay@ada.example" })
  expect(status).toBe(401)
  expect(html).not.toContain(sendgridKey())
  expect(html).toContain('type="password" name="apiKey"')
  expect(html).toContain('name="from" value="pay@ada.example"')
})
