/** A company's branding: in e-mails and on members' pages, of this company alone, approved where the sender is the deployment's.
 * Over 300 lines, because every place that shows the branding is tested with the same company. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { BROWSER, failPayment, linksIn, messages, visit } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { png } from "../../support/logos.ts"
import { providerWrites } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  control,
  reset,
  setFault,
  sql,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(reset)

interface Branding {
  readonly version: number
  readonly shownVersion: number | null
  readonly isWaiting: boolean
  readonly colours: { readonly buttonText: { readonly colour: string; readonly contrast: number } }
  readonly detail?: string
  readonly code?: string
}

interface Caller {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

const send = <T = Branding>(method: string, path: string, body: object, { key, headers }: Caller = {}) =>
  api<T>(path, {
    ...{ method, body: JSON.stringify(body), ...(key !== undefined && { key }) },
    headers: { "content-type": "application/json", ...headers },
  })

const NOTHING = { logo: null, accent: null, signature: null, replyTo: null, postalAddress: null }
const BRANDING = {
  logo: null,
  accent: "#FFD400",
  signature: "Warm regards\nYour Ada team",
  replyTo: "answers@ada.example",
  postalAddress: "Ada Fitness Inc.\n12 Main St\nSpringfield, IL 62701",
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const uploadLogo = (bytes: Uint8Array, caller: Caller = {}) =>
  send<{ id: string; path: string; width: number; height: number; detail: string }>(
    ...(["POST", "/api/branding/logos", { image: base64(bytes) }, caller] as const),
  )

/** Another company that uses the deployment's sender, and calls in its name. */
async function another() {
  const id = fresh("company")
  await addCompany(id)
  const key = await newApiKey("admin", id)
  // At any hour, and every message.
  await send("PUT", "/api/settings", { quietHours: null, frequencyCaps: [] }, { key })
  return { id, key, asOperator: { headers: { "x-company-id": id } }, path: `/api/webhooks/stripe/${id}` }
}

/** The first e-mail to a new member. */
async function firstMessage(path = "/api/webhooks/stripe") {
  await control("DELETE", "/mailbox")
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice, { more: { customer_email: `${customer}@example.com` } }, { path })
  await waitUntilProcessed()
  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  return { message, invoice }
}

describe("a company with its own branding", () => {
  test("shows it in the next e-mail, in both parts, and the ledger names the version", async () => {
    const logo = await uploadLogo(png(120, 40))
    expect(logo).toMatchObject({ status: 201, body: { width: 120, height: 40 } })
    const saved = await send("PUT", "/api/branding", { ...BRANDING, logo: logo.body.id, version: 0 })
    expect(saved).toMatchObject({
      status: 200,
      body: { version: 1, shownVersion: 1, isWaiting: false, colours: { buttonText: { colour: "#000000" } } },
    })
    const { message, invoice } = await firstMessage()
    for (const line of ["Your Ada team", "12 Main St", "Springfield, IL 62701"]) {
      expect([line, message.body.includes(line), message.html?.includes(line)]).toEqual([line, true, true])
    }
    expect(message.replyTo).toBe("answers@ada.example")
    expect(message.html).toContain("background-color:#ffd400;color:#000000")
    const [, image = ""] = /<img src="([^"]*)"/.exec(message.html ?? "") ?? []
    expect(new URL(image).pathname).toBe(logo.body.path)
    const { body } = await api<{ timeline: { kind: string; branding?: number }[] }>(`/api/cases/payment_${invoice}`)
    expect(body.timeline.find(({ kind }) => kind === "nudge_sent")?.branding).toBe(1)
  })

  test("and another company has nothing of it", async () => {
    await send("PUT", "/api/branding", { ...BRANDING, version: 0 })
    const { path, key } = await another()
    const { message } = await firstMessage(path)
    expect(JSON.stringify(message)).not.toMatch(/Ada team|Main St|ada\.example|ffd400/)
    expect((await api<Branding>("/api/branding", { key })).body).toMatchObject({ version: 0, shownVersion: null })
  })

  test("shows it on members' pages: before the payment page, when nothing is owed, and when unsubscribing", async () => {
    const logo = await uploadLogo(png(120, 40))
    await send("PUT", "/api/branding", { ...BRANDING, logo: logo.body.id, version: 0 })
    const { message } = await firstMessage()
    const { link, unsubscribe } = linksIn(message)
    const image = `<img src="${logo.body.path}" width="120" height="40"`
    const prefetch = await visit(link, { headers: { ...BROWSER, "sec-purpose": "prefetch" } })
    // A program that is known as one is answered without reading the database.
    expect(await prefetch.text()).not.toContain(image)
    for (const page of [await visit(unsubscribe), await visit(unsubscribe, { method: "POST" })]) {
      const html = await page.text()
      expect(html).toContain(image)
      expect(html).toContain("background:#ffd400;color:#000000")
      expect(html).toContain("12 Main St")
      expect(page.headers.get("content-security-policy")).toContain("img-src 'self'")
    }
  })

  test("shows it on the page to which the provider returns a member", async () => {
    await send("PUT", "/api/branding", { ...BRANDING, version: 0 })
    const { message } = await firstMessage()
    expect((await visit(linksIn(message).link)).status).toBe(302)
    const portal = (await providerWrites()).find(({ path }) => path.includes("portal"))
    const { return_url: returnUrl = "" } = (portal?.body ?? {}) as { readonly return_url?: string }
    const { pathname } = new URL(returnUrl)
    expect(await (await visit(`${world().workerUrl}${pathname}`)).text()).toContain("12 Main St")
    for (const other of ["/thanks", "/thanks/x", pathname.replace("/thanks/", "/r/")]) {
      expect(await (await visit(`${world().workerUrl}${other}`)).text()).not.toContain("12 Main St")
    }
  })

  test("still lets a member unsubscribe while the branding cannot be read", async () => {
    await send("PUT", "/api/branding", { ...BRANDING, version: 0 })
    const { message } = await firstMessage()
    await setFault("postgres", "down")
    try {
      const page = await visit(linksIn(message).unsubscribe)
      expect(page.status).toBe(200)
      expect(await page.text()).toContain("Yes, stop")
    } finally {
      await setFault("postgres", "off")
    }
  })

  test("sends the test message with it", async () => {
    await send("PUT", "/api/branding", { ...BRANDING, version: 0 })
    const person = await send<{ id: string }>("POST", "/api/people", { email: "eve@example.com", role: "admin" })
    await send("POST", `/api/companies/${world().companyId}/test-message`, { personId: person.body.id })
    const [message] = (await messages(2)).filter(({ subject }) => subject.includes("payment"))
    expect(message).toMatchObject({ to: "eve@example.com", replyTo: "answers@ada.example" })
    expect(message?.body).toContain("12 Main St")
  })
})

describe("a company that uses the deployment's sender", () => {
  test("shows its branding after an operator has approved that version, and the approved one while a newer one waits", async () => {
    const { key, asOperator, path } = await another()
    const first = await send("PUT", "/api/branding", { ...BRANDING, version: 0 }, { key })
    expect(first.body).toMatchObject({ version: 1, shownVersion: null, isWaiting: true })
    const waiting = (await firstMessage(path)).message
    expect(JSON.stringify(waiting)).not.toMatch(/Ada team|Main St|ada\.example|ffd400/)

    expect((await send("PUT", "/api/branding/approval", { version: 1 }, { key })).status).toBe(403)
    const approved = await send("PUT", "/api/branding/approval", { version: 1 }, asOperator)
    expect(approved.body).toMatchObject({ version: 2, shownVersion: 2, isWaiting: false })
    expect((await firstMessage(path)).message.body).toContain("Your Ada team")

    const next = { ...BRANDING, signature: "Your bank", version: 2 }
    expect((await send("PUT", "/api/branding", next, { key })).body).toMatchObject({ shownVersion: 2, isWaiting: true })
    const { body } = (await firstMessage(path)).message
    expect(body).toContain("Your Ada team")
    expect(body).not.toContain("Your bank")
  })

  test("has no approval of a version that was changed meanwhile, and what an operator saves is approved", async () => {
    const { key, asOperator } = await another()
    await send("PUT", "/api/branding", { ...BRANDING, version: 0 }, { key })
    await send("PUT", "/api/branding", { ...BRANDING, signature: "Your bank", version: 1 }, { key })
    expect((await send("PUT", "/api/branding/approval", { version: 1 }, asOperator)).status).toBe(409)
    const saved = await send("PUT", "/api/branding", { ...NOTHING, version: 2 }, asOperator)
    expect(saved.body).toMatchObject({ version: 3, shownVersion: 3, isWaiting: false })
    expect((await send("PUT", "/api/branding/approval", { version: 3 }, asOperator)).body).toMatchObject({ version: 3 })
  })
})

describe("what is refused", () => {
  test.each([
    ["a script instead of a colour", { accent: "red;}</style><script>" }, "accent: expected a colour"],
    ["a link in the signature", { signature: "https://evil.example" }, "signature: it contains a link"],
    ["a link in the postal address", { postalAddress: "www.evil.example" }, "postalAddress: it contains a link"],
    [
      "a second header in the reply address",
      { replyTo: "a@b.example\r\nBcc: c@d.example" },
      "replyTo: expected an e-mail",
    ],
    ["a long signature", { signature: "x".repeat(10_000) }, "signature"],
    ["an address as logo", { logo: "javascript:alert(1)" }, "logo: expected the id of an uploaded logo"],
    ["a logo that nobody uploaded", { logo: "a".repeat(64) }, "logo: there is no such image"],
    ["an unknown field", { font: "Comic Sans" }, "font is not known"],
  ])("%s, with a clear sentence", async (_, change, reason) => {
    const { status, body } = await send("PUT", "/api/branding", { ...BRANDING, ...change, version: 0 })
    expect([status, body.detail]).toEqual([400, expect.stringContaining(reason)])
    expect(await sql("select 1 from company_branding")).toEqual([])
  })

  test.each([
    ["a drawing", new TextEncoder().encode("<svg/>"), "expected a PNG or JPEG image"],
    ["an image of too many bytes", png(4, 4, { padding: 66_000 }), "larger than 64 KiB"],
  ])("%s as logo", async (_, bytes, reason) => {
    const { status, body } = await uploadLogo(bytes)
    expect([status, body.detail]).toEqual([400, expect.stringContaining(reason)])
  })

  test("a change of a version that somebody else has changed since", async () => {
    await send("PUT", "/api/branding", { ...BRANDING, version: 0 })
    const late = await send("PUT", "/api/branding", { ...NOTHING, version: 0 })
    expect([late.status, late.body.detail]).toEqual([409, expect.stringContaining("a newer version")])
    const both = [1, 2].map(() => send("PUT", "/api/branding", { ...NOTHING, version: 1 }))
    expect((await Promise.all(both)).map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409])
  })

  test("another company's logo, an analyst, and a company that does not exist", async () => {
    const { body: logo } = await uploadLogo(png(8, 8))
    const { key } = await another()
    expect((await send("PUT", "/api/branding", { ...BRANDING, logo: logo.id, version: 0 }, { key })).status).toBe(400)
    const analyst = { key: await newApiKey("success-analyst") }
    expect((await send("PUT", "/api/branding", { ...BRANDING, version: 0 }, analyst)).status).toBe(403)
    expect((await api("/api/branding", { headers: { "x-company-id": "nobody" } })).status).toBe(404)
  })
})

describe("a logo", () => {
  const fetchLogo = (path: string) => fetch(`${world().workerUrl}${path}`)

  test("is public, cached for ever, and nothing but an image", async () => {
    const image = png(120, 40)
    const { path } = (await uploadLogo(image)).body
    for (const _ of ["read", "cached"]) {
      const response = await fetchLogo(path)
      expect(response.status).toBe(200)
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(image)
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "content-type": "image/png",
        "cache-control": "public, max-age=31536000, immutable",
        // Webmail shows it on its own site.
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
        "content-security-policy": expect.stringContaining("default-src 'none'"),
      })
    }
  })

  test("is found under its company and type only", async () => {
    const { path, id } = (await uploadLogo(png(8, 8))).body
    const other = await another()
    for (const wrong of [
      path.replace(".png", ".jpg"),
      path.replace(world().companyId, other.id),
      path.replace(id, "a".repeat(64)),
      `/logos/${world().companyId}/..%2fx.png`,
      `/logos/${world().companyId}'/${id}.png`,
    ]) {
      expect([wrong, (await fetchLogo(wrong)).status]).toEqual([wrong, 404])
    }
  })

  test("that is in use stays when many others are uploaded", async () => {
    const used = (await uploadLogo(png(8, 8))).body
    await send("PUT", "/api/branding", { ...BRANDING, logo: used.id, version: 0 })
    const first = (await uploadLogo(png(9, 9))).body
    await advanceClock("PT1S")
    for (let number = 0; number < 20; number++) await uploadLogo(png(10 + number, 10))
    expect(await sql("select 1 from company_logos")).toHaveLength(21)
    expect((await fetchLogo(used.path)).status).toBe(200)
    expect(await sql("select 1 from company_logos where id = $1", [first.id])).toEqual([])
  })
})

test("a preview shows an e-mail and a member's page in a look that is not saved", async () => {
  const logo = await uploadLogo(png(120, 40))
  const seen = await send<{ email: { text: string; html: string }; page: { html: string } }>(
    "POST",
    "/api/branding/preview",
    { ...BRANDING, logo: logo.body.id },
  )
  expect(seen.body.email.text).toContain("Your Ada team")
  for (const html of [seen.body.email.html, seen.body.page.html]) {
    expect(html).toContain(`<img src="${logo.body.path}"`)
    expect(html).toContain("#ffd400")
    expect(html).toContain("12 Main St")
  }
  expect(await sql("select 1 from company_branding")).toEqual([])
})

test("a template's preview has the branding", async () => {
  await send("PUT", "/api/branding", { ...BRANDING, version: 0 })
  const { body } = await send<{ previews: { channel: string; text: string }[] }>("POST", "/api/templates/preview", {
    caseKind: "payment",
    words: { subject: "x" },
  })
  expect(body.previews.map(({ channel, text }) => [channel, text.includes("12 Main St")])).toEqual([
    ["email", true],
    ["sms", false],
    ["push", false],
    ["dm", false],
  ])
})
