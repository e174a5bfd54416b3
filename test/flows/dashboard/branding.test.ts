/** The page of the branding: upload, preview, save, stale forms, and approval. */
import { beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { decoded, hiddenField, signedInWith, type Visitor } from "../../support/actions/dashboard.ts"
import { fresh } from "../../support/events/providers.ts"
import { png } from "../../support/logos.ts"
import { api, reset, world } from "../../support/world/world.ts"

beforeEach(reset)

const PATH = "/dashboard/branding"

/** A form as a browser sends it. */
function formWith(fields: Readonly<Record<string, string>>, image?: Uint8Array): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set("image", new Blob(image === undefined ? [] : [new Uint8Array(image)]), image === undefined ? "" : "logo.png")
  return form
}

const FIELDS = { version: "0", logo: "", accent: "#c2185b", signature: "Your\r\nteam", replyTo: "", postalAddress: "" }

const stored = async () => (await api<{ version: number; signature: string }>("/api/branding")).body

const frames = (html: string): readonly string[] =>
  [...html.matchAll(/<iframe [^>]*src="([^"]*)"/g)].map(([, src = ""]) => decoded(src))

test("a logo is uploaded, previewed in the page's look, and saved with the rest", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  const seen = await manager.post(PATH, formWith({ ...FIELDS, step: "preview" }, png(120, 40)))
  expect(seen.status).toBe(200)
  expect(seen.headers.get("content-security-policy")).toContain("frame-src 'self'")
  expect((await stored()).version).toBe(0)
  const logo = hiddenField(seen.html, "logo")
  expect(logo).toMatch(/^[0-9a-f]{64}$/)
  for (const path of frames(seen.html)) {
    const { status, html, headers } = await manager.get(path)
    expect([path, status, html.includes(`/${logo}.png"`)]).toEqual([path, 200, true])
    expect(html).toContain("#c2185b")
    expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'.*frame-ancestors 'self'/)
    expect(headers.get("content-security-policy")).not.toContain("script-src")
    expect(headers.get("x-frame-options")).toBe("SAMEORIGIN")
  }
  const saved = await manager.post(PATH, formWith({ ...FIELDS, logo, step: "save" }))
  expect(saved.html).toContain("Saved.")
  expect(await stored()).toMatchObject({ version: 1, logo: { id: logo }, accent: "#c2185b", signature: "Your\nteam" })

  await manager.post(
    PATH,
    formWith({ ...FIELDS, version: "1", logo, removeLogo: "yes", accent: "#1f5fd6", step: "save" }),
  )
  expect(await stored()).toMatchObject({ version: 2, logo: null, accent: null })
})

test.each([
  ["a link in the signature", { signature: "https://evil.example" }, undefined, "signature: it contains a link"],
  ["a wrong reply address", { replyTo: "nobody" }, undefined, "replyTo: expected an e-mail address"],
  ["an image of another type", {}, new TextEncoder().encode("<svg/>"), "expected a PNG or JPEG image"],
])("%s is refused with a sentence, and what was typed is not lost", async (_, change, image, reason) => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  const typed = { ...FIELDS, postalAddress: "12 Main St", ...change, step: "save" }
  const { html } = await manager.post(PATH, formWith(typed, image))
  expect(html).toContain(reason)
  expect(html).toContain(">12 Main St</textarea>")
  expect((await stored()).version).toBe(0)
})

test("a stale form says that somebody else has saved, keeps what was typed, and can be saved then", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  await manager.post(PATH, formWith({ ...FIELDS, signature: "Theirs", step: "save" }))
  const stale = await manager.post(PATH, formWith({ ...FIELDS, signature: "Mine", step: "save" }))
  expect(stale.html).toContain("Another user has saved version 1 of the branding.")
  expect(stale.html).toContain(">Mine</textarea>")
  expect(await stored()).toMatchObject({ version: 1, signature: "Theirs" })
  // Looking at a preview of a stale form does not make it a fresh one.
  const looked = await manager.post(PATH, formWith({ ...FIELDS, step: "preview" }))
  expect(hiddenField(looked.html, "version")).toBe("0")
  await manager.post(
    PATH,
    formWith({ ...FIELDS, version: hiddenField(stale.html, "version"), signature: "Mine", step: "save" }),
  )
  expect(await stored()).toMatchObject({ version: 2, signature: "Mine" })
})

test("what waits for approval says so, and only an operator approves", async () => {
  const id = fresh("company")
  await addCompany(id)
  const manager: Visitor = await signedInWith(await newApiKey("success-manager", id))
  const saved = await manager.post(PATH, formWith({ ...FIELDS, step: "save" }))
  expect(saved.html).toContain("waits for approval")
  expect(saved.html).not.toContain("Approve version")
  expect((await manager.post(`${PATH}/approval`, { version: "1" })).status).toBe(403)

  const operator = await signedInWith(world().adminApiKey)
  await operator.post(`/dashboard/companies/${id}/choose`)
  expect((await operator.get(PATH)).html).toContain("Approve version 1")
  const approved = await operator.post(`${PATH}/approval`, { version: "1" })
  expect(approved.html).toContain("in force")
  expect((await manager.get(PATH)).html).toContain("in force")
})

test("a preview is no page for others, and shows nothing unknown", async () => {
  const analyst = await signedInWith(await newApiKey("success-analyst"))
  expect((await analyst.get(PATH)).status).toBe(403)
  expect((await analyst.get(`${PATH}/preview/email/light`)).status).toBe(403)
  const manager = await signedInWith(await newApiKey("success-manager"))
  for (const view of ["none/light", "constructor/light", "email/none", "page"]) {
    expect([view, (await manager.get(`${PATH}/preview/${view}`)).status]).toEqual([view, 404])
  }
  const { status } = await manager.get(
    `${PATH}/preview/page/light?accent=${encodeURIComponent("red}</style><script>")}`,
  )
  expect(status).toBe(400)
})
