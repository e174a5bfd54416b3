/** A company that signs its own events cannot cause calls about objects of another; events of unregistered accounts are stored separately. */
import { beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment, linksIn, messages, payInvoice } from "../../support/actions/members.ts"
import { envelope, fresh, invoiceEvent, post, sendStripe, stripeSecrets } from "../../support/events/providers.ts"
import { providerCalls, putProviderObject } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

const json = (method: string, body: object, key?: string) => ({
  method,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
  ...(key !== undefined && { key }),
})

/** Another company, with a webhook secret of its own. */
async function attacker() {
  const companyId = fresh("company")
  await addCompany(companyId)
  const key = await newApiKey("admin", companyId)
  const secret = `whsec_${fresh("attacker")}_0123456789`
  expect((await api("/api/secrets/webhooks", json("POST", { provider: "stripe", secret }, key))).status).toBe(201)
  return { companyId, key, options: { secret, path: `/api/webhooks/stripe/${companyId}` } }
}

test("thin events, portals, incentives, look-ups and account headers reach no object of another company", async () => {
  const { key, options } = await attacker()
  const [customer, invoice, subscription] = [fresh("cus"), fresh("in"), fresh("sub")]
  const at = await worldNow()
  const victim = invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice })
  await putProviderObject("stripe", "invoices", invoice, (victim.data as { object: object }).object)
  await putProviderObject("stripe", "subscriptions", subscription, {
    ...{ object: "subscription", customer, status: "active", discounts: [], metadata: {} },
    items: { object: "list", data: [{ id: "si_1", current_period_end: 1_900_000_000 }] },
  })
  const steps = [{ day: 0, incentive: { kind: "discount", percentOff: 100, months: 12 } }]
  const settings = { playbooks: { payment: steps, cancellation: steps, at_risk: [] } }
  expect((await api("/api/settings", json("PUT", settings, key))).status).toBe(200)

  const thin = (context?: string) => ({
    ...{ id: fresh("evt_thin"), object: "v2.core.event", type: "v1.invoice.payment_failed", created: at.toISOString() },
    related_object: { id: invoice, type: "invoice", url: `/v1/invoices/${invoice}` },
    ...(context !== undefined && { context }),
  })
  for (const event of [thin(), thin("acct_victim")]) expect((await sendStripe(event, options)).status).toBe(200)
  const more = { customer_email: `${customer}@attacker.example`, subscription }
  expect((await failPayment(customer, invoice, { more }, options)).status).toBe(200)
  const charge = { id: fresh("ch"), object: "charge", amount: 1999, currency: "usd", failure_code: "card_declined" }
  await sendStripe(envelope("charge.failed", at, fresh("evt"), charge), options)

  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  const visited = await fetch(linksIn(message).link, { redirect: "manual" })
  expect(visited.headers.get("location") ?? "").not.toContain("billing.stripe.com/p/session")
  await advanceClock("PT15M")
  // Meanwhile the default company is compared with its own account's lists; there is no other call, and none by id.
  const lists = ["/v1/events", "/v1/subscriptions"]
  const asked = (await providerCalls()).filter(({ provider, path }) => provider === "stripe" && !lists.includes(path))
  expect(asked).toEqual([])
})

test("an event of an unregistered account is stored separately, and ingested once the account is registered", async () => {
  const account = fresh("acct").replaceAll("_", "").replace("acct", "acct_")
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const event = {
    ...invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer, invoice }),
    account,
  }
  const first = await sendStripe(event)
  expect(first).toMatchObject({ status: 200, body: { received: true, duplicate: false } })
  expect(await sendStripe(event)).toMatchObject({ status: 200, body: { id: first.body.id, duplicate: true } })
  await waitUntilProcessed()
  expect(await sql("select 1 from facts")).toEqual([])
  expect(await mailbox()).toEqual([])
  const listed = await api<{ data: object[] }>("/api/events?status=unmapped_account")
  expect(listed.body.data).toMatchObject([{ id: first.body.id, account, companyId: null, status: "unmapped_account" }])
  const admin = await newApiKey("admin")
  expect((await api("/api/events?status=unmapped_account", { key: admin })).status).toBe(403)
  expect((await api(`/api/events/${first.body.id}`, { key: admin })).status).toBe(404)

  const B = fresh("company")
  await addCompany(B)
  await sql("insert into company_accounts values ($1, 'stripe', $2)", [B, account])
  await advanceClock("PT3M")
  const cases = await waitFor(async () => {
    const rows = await sql("select company_id, status from recovery_cases")
    return rows.length > 0 ? rows : null
  })
  expect(cases).toEqual([{ company_id: B, status: "open" }])
  expect(await sql("select 1 from unmapped_events")).toEqual([])
})

test("an unsigned post is answered 401 whether or not the company exists, and a path may end in a slash", async () => {
  const paths = ["", "/", `/${world().companyId}`, `/${world().companyId}/`, "/nobody_here", "/no!company"]
  const answers = await Promise.all(paths.map((path) => post(`/api/webhooks/stripe${path}`, "{}", {})))
  expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 401))
  const event = async () =>
    invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer: fresh("cus"), invoice: fresh("in") })
  const signed = async (path: string) =>
    (await sendStripe(await event(), { path: `/api/webhooks/stripe${path}`, secret: stripeSecrets()[0] ?? "" })).status
  expect(await signed("/")).toBe(200)
  expect(await signed(`/${world().companyId}/`)).toBe(200)
  expect([await signed("/nobody_here"), await signed("/no!company")]).toEqual([404, 404])
})

test("the link of a closed case shows a page of thanks and opens no portal", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice)
  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  await payInvoice(customer, invoice)
  await waitUntilProcessed()
  const visited = await fetch(linksIn(message).link, { redirect: "manual" })
  expect([visited.status, visited.headers.get("location")]).toEqual([200, null])
  expect(await providerCalls()).toEqual([])
})
