/** Companies with their own accounts, senders and Slack, side by side in one deployment: nothing crosses over. */
import { beforeEach, describe, expect, test } from "vitest"
import { keyOfAccount } from "../../../local/own-key.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { caseOf, failPayment } from "../../support/actions/members.ts"
import { putEvents } from "../../support/actions/reconcile.ts"
import { fresh, invoiceEvent } from "../../support/events/providers.ts"
import { providerCalls } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

const send = (method: string, path: string, body?: object, key = world().adminApiKey) =>
  api<Record<string, unknown>>(path, {
    ...{ method, key },
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  })

interface Tenant {
  readonly id: string
  readonly name: string
  readonly key: string
}

/** A company without anything of its own. */
async function newTenant(name: string, fields: object = {}): Promise<Tenant> {
  const id = fresh("company")
  expect((await send("POST", "/api/companies", { id, name, ...fields })).status).toBe(201)
  return { id, name, key: await newApiKey("admin", id) }
}

const put = (tenant: Tenant, kind: string, body: object) => send("PUT", `/api/credentials/${kind}`, body, tenant.key)

/** A company's key in the local world, for an account of that name. */
const vars = () => world().vars
const stripeKey = (account: string) => keyOfAccount(vars().STRIPE_API_KEY ?? "", account)
const sendgridKey = (account: string) => keyOfAccount(vars().SENDGRID_API_KEY ?? "", account)
const slackUrl = (account: string) => keyOfAccount(vars().SLACK_WEBHOOK_URL ?? "", account)

/** A company with its own Stripe account, sender and Slack, all named `account`. */
async function equipped(account: string, name: string): Promise<Tenant> {
  const tenant = await newTenant(name)
  for (const [kind, body] of [
    ["stripe", { apiKey: stripeKey(`acct_${account}`) }],
    ["sendgrid", { apiKey: sendgridKey(account), from: `${name} <pay@${account}.example>` }],
    ["slack", { webhookUrl: slackUrl(account) }],
  ] as const) {
    expect([kind, (await put(tenant, kind, body)).status]).toEqual([kind, 200])
  }
  const settings = { brandName: `${name} Online`, alertTeam: true }
  expect((await send("PUT", "/api/settings", settings, tenant.key)).status).toBe(200)
  return tenant
}

/** A failed payment of a new member, whose address the invoice names. */
async function fail(tenant: Tenant) {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const path = `/api/webhooks/stripe/${tenant.id}`
  expect((await failPayment(customer, invoice, {}, { path })).status).toBe(200)
  return { customer, invoice, email: `${customer}@example.com` }
}

const messagesTo = async (to: string) => (await mailbox()).filter((message) => message.to === to)

describe("two companies with their own accounts", () => {
  test("reach each member by the right sender, tell the right team, and open the right portal", async () => {
    const [ada, bob] = [await equipped("ada", "Ada Fitness"), await equipped("bob", "Bob Books")]
    const members = [
      { tenant: ada, account: "ada", ...(await fail(ada)) },
      { tenant: bob, account: "bob", ...(await fail(bob)) },
    ]
    await waitUntilProcessed()
    await waitFor(async () => (await mailbox()).length >= 4)
    const sent = await mailbox()
    for (const { account, email, tenant } of members) {
      const own = sent.filter(({ to }) => to === email)
      expect(own.map((message) => [message.from, message.account])).toEqual([[`pay@${account}.example`, account]])
      expect(own[0]?.body).toContain(`${tenant.name} Online`)
      const other = members.find((member) => member.account !== account)
      expect(JSON.stringify(own)).not.toContain(other?.tenant.name)
      const alerts = sent.filter(({ channel, to }) => channel === "slack" && to.endsWith(`_of_${account}`))
      expect(alerts.map(({ body }) => body.includes(tenant.name))).toEqual([true])
    }
    expect(sent).toHaveLength(4)

    for (const [index, { account, email, customer }] of members.entries()) {
      const link = /https?:\S+\/r\/\S+/.exec((await messagesTo(email))[0]?.body ?? "")?.[0] ?? ""
      const opened = await fetch(link, { method: "POST", redirect: "manual" })
      expect([account, opened.status]).toEqual([account, 303])
      const calls = (await providerCalls()).filter(({ path }) => path.includes("billing_portal"))
      expect(calls[index]).toMatchObject({ account: `acct_${account}`, body: { customer } })
      expect(calls).toHaveLength(index + 1)
    }
  })

  test("are reconciled by their own keys, each with its own events", async () => {
    const [ada, bob] = [await equipped("ada", "Ada Fitness"), await equipped("bob", "Bob Books")]
    const at = new Date((await worldNow()).getTime() - 3 * 86_400_000)
    const event = (account: string, id: string) => ({
      ...invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice: fresh("in"), id }),
      account,
    })
    const [ofAda, ofBob] = [fresh("evt"), fresh("evt")]
    await putEvents([event("acct_ada", ofAda), event("acct_bob", ofBob)])
    for (const [tenant, id] of [
      [ada, ofAda],
      [bob, ofBob],
    ] as const) {
      const answer = await send("POST", "/api/reconciliations", { provider: "stripe" }, tenant.key)
      expect(answer).toMatchObject({ status: 200, body: { missing: 1, fetched: 1 } })
      expect(
        await sql("select provider_event_id as id from webhook_events where company_id = $1", [tenant.id]),
      ).toEqual([{ id }])
    }
    const backfill = await send("POST", "/api/backfills", { provider: "stripe", since: "2026-01-01" }, ada.key)
    expect([backfill.status, backfill.body.account]).toEqual([201, null])
    expect((await send("POST", `/api/backfills/${backfill.body.id}/next`, undefined, ada.key)).status).toBe(200)
    const lists = (await providerCalls()).filter(({ method, provider }) => method === "GET" && provider === "stripe")
    expect(new Set(lists.map(({ account }) => account))).toEqual(new Set(["acct_ada", "acct_bob"]))
  })
})

describe("a credential", () => {
  test("is never shown again, and stored sealed", async () => {
    const tenant = await equipped("ada", "Ada Fitness")
    const { body } = await api<{ data: { kind: string; source: string; shown: unknown }[] }>("/api/credentials", {
      key: tenant.key,
    })
    expect(body.data.map(({ kind, source }) => [kind, source])).toEqual([
      ["stripe", "own"],
      ["whop", "deployment"],
      ["sendgrid", "own"],
      ["twilio", "deployment"],
      ["slack", "own"],
      ["link-domain", "none"],
    ])
    expect(body.data[2]?.shown).toEqual({ apiKey: "…_ada", from: "Ada Fitness <pay@ada.example>", replyTo: null })
    const [stored] = await sql<{ text: string }>(
      "select string_agg(encode(sealed, 'escape') || shown::text, '') as text from company_credentials",
    )
    for (const secret of [stripeKey("acct_ada"), sendgridKey("ada"), slackUrl("ada")]) {
      expect(JSON.stringify(body)).not.toContain(secret)
      expect(stored?.text).not.toContain(secret)
    }
  })

  test("that its service refuses, or of another account, is not stored", async () => {
    const tenant = await newTenant("Ada")
    const whop = { apiKey: keyOfAccount(vars().WHOP_API_KEY ?? "", "biz_ada"), accountId: "biz_ada" }
    for (const [kind, body, status] of [
      ["stripe", { apiKey: "sk_test_of_nobody_0123456789" }, 409],
      ["sendgrid", { apiKey: "SG.of_nobody_0123456789", from: "a@b.example" }, 409],
      ["twilio", { accountSid: `AC${"0".repeat(32)}`, authToken: "of_nobody_0123456789", from: "+15005550006" }, 409],
      ["slack", { webhookUrl: "https://evil.example/services/T/B/x" }, 400],
      ["stripe", { apiKey: "sk_test_0123456789", other: true }, 400],
      ["whop", whop, 200],
    ] as const) {
      expect([kind, (await put(tenant, kind, body)).status]).toEqual([kind, status])
    }
    expect(await sql("select kind from company_credentials")).toEqual([{ kind: "whop" }])
  })

  test("of a sender says whether its domain is authenticated, which completes the checklist", async () => {
    const tenant = await newTenant("Ada")
    const isVerified = async () => {
      const { body } = await api<{ items: { item: string; isDone: boolean }[] }>(
        `/api/companies/${tenant.id}/onboarding`,
      )
      return body.items.find(({ item }) => item === "sender_verified")?.isDone
    }
    const apiKey = sendgridKey("ada")
    const pending = await put(tenant, "sendgrid", { apiKey, from: "pay@pending.example" })
    expect(pending.body).toMatchObject({ checkResult: "domain_not_authenticated", checkedAt: expect.any(String) })
    expect(await isVerified()).toBe(false)
    expect((await put(tenant, "sendgrid", { apiKey, from: "pay@ada.example" })).body.checkResult).toBe("ok")
    expect(await isVerified()).toBe(true)
    await setFault("email", "down")
    expect((await send("POST", "/api/credentials/sendgrid/check", undefined, tenant.key)).body.checkResult).toBe(
      "unavailable",
    )
    await setFault("email", "off")
  })

  test("that is deleted gives way to the deployment's, unless the operator does not share it", async () => {
    const tenant = await equipped("ada", "Ada Fitness")
    for (const kind of ["sendgrid", "slack", "stripe"]) {
      expect((await send("DELETE", `/api/credentials/${kind}`, undefined, tenant.key)).status).toBe(204)
      expect((await send("DELETE", `/api/credentials/${kind}`, undefined, tenant.key)).status).toBe(404)
    }
    const { email } = await fail(tenant)
    await waitFor(async () => (await messagesTo(email)).length === 1)
    // From the shared sender the company's own name waits for the operator.
    const [message] = await messagesTo(email)
    expect([message?.from, message?.account]).toEqual(["billing@churn-saver.example", undefined])
    expect(message?.body).not.toContain("Ada Fitness Online")

    expect((await send("PUT", `/api/companies/${tenant.id}`, { sharedKinds: [] })).body.sharedKinds).toEqual([])
    const later = await fail(tenant)
    await waitUntilProcessed()
    await advanceClock("PT1H")
    expect(await messagesTo(later.email)).toEqual([])
    const { nudges } = await caseOf(later.invoice, tenant.key)
    expect(nudges.every(({ status }) => status !== "sent")).toBe(true)
  })

  test("of one company is not seen or changed by another, and managers do not see it", async () => {
    const [ada, bob] = [await equipped("ada", "Ada Fitness"), await newTenant("Bob")]
    expect((await send("GET", "/api/credentials/stripe", undefined, bob.key)).status).toBe(404)
    expect((await send("DELETE", "/api/credentials/stripe", undefined, bob.key)).status).toBe(404)
    expect((await send("POST", "/api/credentials/stripe/check", undefined, bob.key)).status).toBe(404)
    expect((await send("GET", "/api/credentials", undefined, await newApiKey("success-manager", ada.id))).status).toBe(
      403,
    )
    expect((await send("GET", "/api/credentials/stripe", undefined, ada.key)).status).toBe(200)
  })

  test("of a link domain is set by an operator only, and links lead there", async () => {
    const tenant = await equipped("ada", "Ada Fitness")
    expect((await put(tenant, "link-domain", { domain: "pay.ada.example" })).status).toBe(403)
    const byOperator = await api("/api/credentials/link-domain", {
      method: "PUT",
      body: '{"domain":"pay.ada.example"}',
      headers: { "content-type": "application/json", "x-company-id": tenant.id },
    })
    expect(byOperator.status).toBe(200)
    const { email } = await fail(tenant)
    await waitFor(async () => (await messagesTo(email)).length === 1)
    const [message] = await messagesTo(email)
    expect(message?.body).toMatch(/https:\/\/pay\.ada\.example\/r\//)
    expect(message?.headers?.["List-Unsubscribe"]).toContain("https://pay.ada.example/unsubscribe/")
  })
})
