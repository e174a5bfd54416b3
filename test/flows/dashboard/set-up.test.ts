/** The set-up page: signing secrets of the company's own webhooks. Error pages: when to try again. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { decoded, hiddenField, signedInWith } from "../../support/actions/dashboard.ts"
import { reset, setFault, world } from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["qstash", "postgres"]) await setFault(target, "off")
})

const SECRET = "whsec_0123456789abcdefghijklmnop"

describe("webhook signing secrets", () => {
  test("an admin adds one and ends it; the page shows its fingerprint alone", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    const added = await admin.post("/dashboard/set-up/secrets", {
      ...{ provider: "stripe", secret: SECRET, overlapHours: "1" },
    })
    expect(added.html).toContain("The secret is added.")
    expect(added.html).not.toContain(SECRET)
    const [, id = ""] = /set-up\/secrets\/([^/]+)\/end/.exec(added.html) ?? []
    const ended = await admin.post(`/dashboard/set-up/secrets/${decoded(id)}/end`, {
      force: hiddenField(added.html, "force"),
    })
    expect(ended.html).toContain("The secret has ended.")
  })

  test("the last one does not end without the warning", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    const { html } = await admin.post("/dashboard/set-up/secrets", {
      ...{ provider: "whop", secret: SECRET, overlapHours: "" },
    })
    const [, id = ""] = /set-up\/secrets\/([^/]+)\/end/.exec(html) ?? []
    const { status, html: refused } = await admin.post(`/dashboard/set-up/secrets/${id}/end`)
    expect(status).toBe(409)
    expect(refused).toContain("This is the last secret")
  })

  test("a secret that is too short is refused", async () => {
    const admin = await signedInWith(await newApiKey("admin"))
    const { status, html } = await admin.post("/dashboard/set-up/secrets", {
      ...{ provider: "stripe", secret: "short", overlapHours: "24" },
    })
    expect(status).toBe(400)
    expect(html).toContain("expected at least 16 characters")
  })

  test("a manager sees the checklist without the secrets", async () => {
    const manager = await signedInWith(await newApiKey("success-manager"))
    const { html } = await manager.get("/dashboard/set-up")
    expect(html).toContain("Checklist")
    expect(html).not.toContain("Webhook signing secrets")
    expect((await manager.post("/dashboard/set-up/secrets", { provider: "stripe", secret: SECRET })).status).toBe(403)
  })
})

describe("an error page says when to try again", () => {
  test("while the database does not answer", async () => {
    const operator = await signedInWith(world().adminApiKey)
    await setFault("postgres", "down")
    const { status, headers } = await operator.get("/dashboard/cases")
    expect([status, headers.get("retry-after")]).toEqual([503, "10"])
  })

  test("with the time of the API's answer", async () => {
    const operator = await signedInWith(world().adminApiKey)
    await setFault("qstash", "down")
    const { status, headers } = await operator.post("/dashboard/dead-letters/message/1/retry")
    expect([status, headers.get("retry-after")]).toEqual([503, "10"])
  })
})
