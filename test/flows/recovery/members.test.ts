/**
 * The links in messages: what a member gets, and that forged links have no effect. Over 300 lines because all tests open the links
 * of one kind of message.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { parseKeyRing } from "../../../shared/crypto/key-ring.ts"
import { signToken, type TokenClaims, type TokenPurpose } from "../../../shared/tokens.ts"
import {
  BROWSER,
  caseOf,
  failPayment,
  failWhopPayment,
  linksIn,
  messages,
  visit,
  WITHOUT_ADDRESS,
} from "../../support/actions/members.ts"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import { providerWrites, putProviderObject } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  settle,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["stripe-api", "postgres"]) await setFault(target, "off")
})

/** A member with an open case and the links of the message they got. */
async function nudged() {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice)
  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  return { customer, invoice, ...linksIn(message) }
}

const clicksOf = async (invoice: string) =>
  (await caseOf(invoice)).timeline.filter(({ kind }) => kind === "link_clicked")

/** A token as signed by the Worker, or under another ring. */
const tokenFor = (
  claims: Partial<TokenClaims> & { readonly purpose: TokenPurpose },
  ring = world().vars.TOKEN_SIGNING_KEYS,
) => {
  const keys = parseKeyRing(ring ?? "")
  if (!keys.ok) throw new Error("no key ring")
  const usual = { companyId: world().companyId, customerId: "stripe_cus_x", caseId: "payment_in_x", nudgeId: null }
  return signToken(keys.value, { ...usual, expiresAtSeconds: 4_000_000_000, ...claims })
}

/** Headers of every answer to a member. */
function expectGuarded(response: Response): void {
  const { headers } = response
  expect(headers.get("cache-control")).toBe("no-store")
  expect(headers.get("referrer-policy")).toBe("no-referrer")
  expect(headers.get("x-content-type-options")).toBe("nosniff")
  expect(headers.get("x-frame-options")).toBe("DENY")
  expect(headers.get("strict-transport-security")).toContain("max-age=31536000")
  expect(headers.get("x-request-id")).toBeTruthy()
  const policy = headers.get("content-security-policy") ?? ""
  for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) expect(policy).toContain(part)
  expect(policy).not.toContain("unsafe")
}

describe("the link to the payment page", () => {
  test("leads to an https page of the provider, and the click is in the timeline", async () => {
    const { link, invoice } = await nudged()
    const response = await visit(link)
    expect(response.status).toBe(302)
    const target = new URL(response.headers.get("location") ?? "")
    expect(target.protocol).toBe("https:")
    expect(target.hostname).toMatch(/\.stripe\.com$/)
    expectGuarded(response)
    const clicks = await waitFor(async () => {
      const found = await clicksOf(invoice)
      return found.length > 0 && found
    })
    expect(clicks).toMatchObject([{ caseId: `payment_${invoice}`, nudgeId: `payment_${invoice}.0.email` }])
  })

  test("leads to the page of the invoice while the provider's API is down", async () => {
    const { link } = await nudged()
    await setFault("stripe-api", "down")
    expect((await visit(link)).headers.get("location")).toBe("https://invoice.stripe.com/i/acct_1/test")
  })

  test("of a Whop member leads to the membership's page at Whop", async () => {
    const [membership, payment] = [fresh("mem"), fresh("pay")]
    await putProviderObject("whop", "memberships", membership, { manage_url: "https://whop.com/billing/manage/x" })
    await failWhopPayment({ user: `user_${Date.now()}`, membership, payment }, { email: "ben@example.com" })
    const [message] = await messages(1)
    if (message === undefined) throw new Error("no message")
    expect((await visit(linksIn(message).link)).headers.get("location")).toBe("https://whop.com/billing/manage/x")
  })

  test("by HEAD, as from link checkers, is answered and is no click", async () => {
    const { link, invoice } = await nudged()
    const response = await visit(link, { method: "HEAD" })
    expect(response.status).toBe(200)
    expectGuarded(response)
    await settle()
    expect(await clicksOf(invoice)).toEqual([])
  })

  test("opened by a program within seconds shows a button, and only the button is a click", async () => {
    const { link, invoice } = await nudged()
    const portalCalls = async () => (await providerWrites()).filter(({ path }) => path.includes("portal")).length
    const before = await portalCalls()
    const scanners = [
      {}, // a library without a user agent
      { "user-agent": "curl/8.5.0" },
      { ...BROWSER, "sec-purpose": "prefetch" },
      { ...BROWSER, "user-agent": `${BROWSER["user-agent"]} SafeLinks` },
      { "user-agent": BROWSER["user-agent"] }, // a gateway with a browser's user agent
    ]
    for (const headers of scanners) {
      const response = await visit(link, { headers })
      expect([headers, response.status]).toEqual([headers, 200])
      expect(await response.text()).toContain('<form method="post">')
      expectGuarded(response)
    }
    await settle()
    expect(await clicksOf(invoice)).toEqual([])
    expect(await portalCalls()).toBe(before)

    const response = await visit(link, { method: "POST" })
    expect(response.status).toBe(303)
    expect(new URL(response.headers.get("location") ?? "").hostname).toMatch(/\.stripe\.com$/)
    await waitFor(async () => (await clicksOf(invoice)).length === 1)
  })

  test("opened an hour later by an unknown program redirects", async () => {
    const { link } = await nudged()
    await advanceClock("PT1H")
    expect((await visit(link, { headers: {} })).status).toBe(302)
    expect((await visit(link, { headers: { "user-agent": "python-requests/2.32" } })).status).toBe(200)
  })

  test("clicked twice within a second is one click", async () => {
    const { link, invoice } = await nudged()
    await Promise.all([visit(link), visit(link), visit(link)])
    await waitFor(async () => (await clicksOf(invoice)).length > 0)
    await settle()
    const seconds = (await clicksOf(invoice)).map(({ occurredAt }) => occurredAt)
    expect(new Set(seconds).size).toBe(seconds.length)
    expect(seconds.length).toBeLessThanOrEqual(2)
  })

  test.each([
    "https://evil.example/pay",
    "http://invoice.stripe.com/i",
    "https://invoice.stripe.com@evil.example/",
    "https://invoice.stripe.com.evil.example/",
    "javascript:alert(1)",
    "//evil.example",
    "https:evil.example",
    "/\\evil.example",
  ])("never leads to %s, whatever the provider's event said", async (hosted_invoice_url) => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await failPayment(customer, invoice, { more: { hosted_invoice_url } })
    const [message] = await messages(1)
    if (message === undefined) throw new Error("no message")
    await setFault("stripe-api", "down")
    const response = await visit(linksIn(message).link)
    expect([response.status, response.headers.get("location")]).toEqual([200, null])
    expect(await response.text()).not.toContain("evil")
    expectGuarded(response)
  })

  test("takes no target from its address", async () => {
    const { link } = await nudged()
    for (const query of ["url=https://evil.example", "next=//evil.example", "returnUrl=https:evil.example"]) {
      const location = (await visit(`${link}?${query}`)).headers.get("location") ?? ""
      expect(new URL(location).hostname).toMatch(/\.stripe\.com$/)
      expect(location).not.toContain("evil")
    }
  })

  test("works for thirty days and then shows that it has expired", async () => {
    const { link } = await nudged()
    await advanceClock("P29D")
    expect((await visit(link)).status).toBe(302)
    await advanceClock("P2D")
    const response = await visit(link)
    expect(response.status).toBe(410)
    expectGuarded(response)
  })
})

describe("an invalid token", () => {
  test("for another purpose, altered, truncated or under another key is refused", async () => {
    const { link, unsubscribe } = await nudged()
    const [linkToken, stopToken] = [link, unsubscribe].map((url) => url.slice(url.lastIndexOf("/") + 1))
    if (linkToken === undefined || stopToken === undefined) throw new Error("no tokens")
    const otherRing = `v1:${Buffer.alloc(32, 1).toString("base64")}`
    const flipped = (token: string, at: number) =>
      `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`
    const bad = [
      stopToken,
      flipped(linkToken, 20),
      flipped(linkToken, linkToken.length - 5),
      linkToken.slice(0, -4),
      `${linkToken}AAAA`,
      await tokenFor({ purpose: "link" }, otherRing),
      "x",
      "..%2f..%2fapi",
      "A".repeat(2_000),
    ]
    for (const token of bad) {
      const response = await visit(`${world().workerUrl}/r/${token}`)
      expect([token, response.status]).toEqual([token, 404])
      expectGuarded(response)
    }
    for (const token of [linkToken, flipped(stopToken, 20), "x"]) {
      expect((await visit(`${world().workerUrl}/unsubscribe/${token}`, { method: "POST" })).status).toBe(404)
    }
    expect(await sql("select 1 from consents")).toEqual([])
    expect(await sql("select 1 from facts where kind = 'link_clicked'")).toEqual([])
  })

  test("for a customer who does not exist is refused, and creates none", async () => {
    const response = await visit(`${world().workerUrl}/r/${await tokenFor({ purpose: "link" })}`)
    expect(response.status).toBe(404)
    const stop = await visit(`${world().workerUrl}/unsubscribe/${await tokenFor({ purpose: "unsubscribe" })}`, {
      method: "POST",
    })
    expect(stop.status).toBe(200)
    expect(await sql("select 1 from customers")).toEqual([])
  })

  test("that has expired cannot unsubscribe", async () => {
    const { customer, invoice } = await nudged()
    const expiresAtSeconds = Math.floor((await worldNow()).getTime() / 1_000) - 1
    const claims = { customerId: `stripe_${customer}`, caseId: `payment_${invoice}`, expiresAtSeconds }
    const token = await tokenFor({ purpose: "unsubscribe", ...claims })
    expect((await visit(`${world().workerUrl}/unsubscribe/${token}`, { method: "POST" })).status).toBe(410)
    expect(await sql("select 1 from consents")).toEqual([])
  })
})

describe("unsubscribing", () => {
  test("shows a question on GET, which mail programs send by themselves, and changes nothing", async () => {
    const { unsubscribe, invoice } = await nudged()
    const response = await visit(unsubscribe)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('<form method="post">')
    expectGuarded(response)
    expect((await visit(unsubscribe, { method: "HEAD" })).status).toBe(200)
    expect(await sql("select 1 from consents")).toEqual([])
    await advanceClock("P3D")
    expect(await mailbox()).toHaveLength(2)
    expect((await caseOf(invoice)).timeline.some(({ kind }) => kind === "opted_out")).toBe(false)
  })

  test("is recorded by one click, and no case sends further messages", async () => {
    const { customer, unsubscribe, invoice } = await nudged()
    const body = new URLSearchParams({ "List-Unsubscribe": "One-Click" })
    const response = await visit(unsubscribe, { method: "POST", body })
    expect(response.status).toBe(200)
    expectGuarded(response)
    expect((await visit(unsubscribe, { method: "POST", body })).status).toBe(200)
    expect(await sql("select is_granted, via from consents")).toEqual([{ is_granted: false, via: "one_click" }])
    const { timeline, nudges } = await caseOf(invoice)
    expect(timeline.filter(({ kind }) => kind === "opted_out")).toHaveLength(1)
    expect(nudges.slice(1).map(({ status, reason }) => `${status} ${reason}`)).toEqual([
      "suppressed opted_out",
      "suppressed opted_out",
    ])
    await failPayment(customer, fresh("in"))
    await waitUntilProcessed()
    await advanceClock("P8D")
    expect(await mailbox()).toHaveLength(1)
    const shown = await api<{ consents: object[] }>(`/api/customers/${customer}`)
    expect(shown.body.consents).toMatchObject([{ purpose: "recovery_messages", isGranted: false }])
  })

  test("accepts multipart, as sent by some mail programs", async () => {
    const { unsubscribe } = await nudged()
    const body = new FormData()
    body.set("List-Unsubscribe", "One-Click")
    expect((await visit(unsubscribe, { method: "POST", body })).status).toBe(200)
    expect(await sql("select via from consents")).toEqual([{ via: "one_click" }])
  })

  test("that cannot be stored is not confirmed", async () => {
    const { unsubscribe } = await nudged()
    await setFault("postgres", "down")
    const response = await visit(unsubscribe, { method: "POST" })
    expect(response.status).toBe(503)
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/)
    await setFault("postgres", "off")
    expect((await visit(unsubscribe, { method: "POST" })).status).toBe(200)
    expect(await sql("select via from consents")).toEqual([{ via: "page" }])
  })

  test("holds after later events of the provider", async () => {
    const { customer, unsubscribe } = await nudged()
    await visit(unsubscribe, { method: "POST" })
    // A fact from before the opt-out causes a refold of the ledger.
    const at = new Date((await worldNow()).getTime() - 3_600_000)
    const invoice = fresh("in")
    await sendStripe(invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice, ...WITHOUT_ADDRESS }))
    await waitUntilProcessed()
    await advanceClock("P5D")
    expect(await mailbox()).toHaveLength(1)
    expect((await caseOf(invoice)).nudges.every(({ reason }) => reason === "opted_out")).toBe(true)
  })
})
