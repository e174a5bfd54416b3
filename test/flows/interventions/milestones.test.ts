/** Milestones: recorded once, listed, sent to the team if it wants them, never to a member. */
import { beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { payInvoice, sendNewCustomer } from "../../support/actions/members.ts"
import { envelope, fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  runHeartbeats,
  sql,
  waitFor,
  waitUntilProcessed,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

const DAY_MS = 86_400_000
const json = { "content-type": "application/json" }
const putSettings = async (settings: object) =>
  expect((await api("/api/settings", { method: "PUT", body: JSON.stringify(settings), headers: json })).status).toBe(
    200,
  )

interface Shown {
  readonly id: string
  readonly kind: string
  readonly detail: Readonly<Record<string, unknown>>
  readonly announcement: string
}

const milestonesOf = async (customer: string) =>
  (await api<{ data: Shown[] }>(`/api/customers/${customer}/milestones`)).body.data

/** A monthly subscription that began so many milliseconds ago. */
async function subscribe(customer: string, agoMs: number): Promise<void> {
  const at = new Date((await worldNow()).getTime() - agoMs)
  const seconds = (date: Date) => Math.floor(date.getTime() / 1_000)
  const price = { id: "price_1", product: "prod_1", unit_amount: 1999, currency: "usd" }
  const recurring = { interval: "month", interval_count: 1, usage_type: "licensed" }
  const period = { current_period_end: seconds(new Date(at.getTime() + 31 * DAY_MS)) }
  await sendStripe(
    envelope("customer.subscription.created", at, fresh("evt"), {
      ...{ id: `sub_of_${customer}`, object: "subscription", customer, status: "active", currency: "usd" },
      ...{ cancel_at_period_end: false, cancel_at: null, start_date: seconds(at) },
      items: { object: "list", data: [{ id: "si_1", quantity: 1, ...period, price: { ...price, recurring } }] },
    }),
  )
}

const use = async (customer: string, id: string, quantity: number) =>
  api("/api/usage", {
    method: "POST",
    headers: json,
    body: JSON.stringify({ records: [{ id, customerId: customer, meter: "logins", quantity }] }),
  })

test("a first payment and a usage milestone are recorded once, however often they are reported", async () => {
  await sendNewCustomer("cus_ms1", {})
  await subscribe("cus_ms1", 0)
  const paid = invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer: "cus_ms1", invoice: "in_ms1" })
  await sendStripe(paid)
  await sendStripe(paid)
  await waitUntilProcessed()
  expect(await milestonesOf("cus_ms1")).toMatchObject([{ id: "first_payment", detail: {}, announcement: "none" }])

  await payInvoice("cus_ms1", "in_ms1b")
  await use("cus_ms1", "use_1", 99)
  await use("cus_ms1", "use_2", 2)
  await use("cus_ms1", "use_2", 2)
  await use("cus_ms1", "use_3", 2)
  await waitUntilProcessed()
  const shown = await waitFor(async () => {
    const all = await milestonesOf("stripe_cus_ms1")
    return all.length === 2 && all
  })
  expect(new Map(shown.map(({ id, detail }) => [id, detail]))).toEqual(
    new Map([
      ["first_payment", {}],
      ["usage_logins_100", { meter: "logins", total: 100 }],
    ]),
  )
  expect((await mailbox()).filter(({ channel }) => channel === "slack")).toEqual([])
})

test("the first month is recorded by date and sent once to the team, never to the member", async () => {
  await putSettings({
    milestones: { firstPayment: false, tenureDays: [30, 365], usage: [], announce: true },
    quietHours: null,
  })
  await sendNewCustomer("cus_ms2", { email: "ms2@example.com" })
  await subscribe("cus_ms2", 30 * DAY_MS - 5 * 60_000)
  await payInvoice("cus_ms2", "in_ms2")
  await waitUntilProcessed()
  expect(await milestonesOf("cus_ms2")).toEqual([])

  await runHeartbeats(["milestones"]) // once an hour
  await advanceClock("PT90M")
  const shown = await waitFor(async () => {
    const all = await milestonesOf("cus_ms2")
    return all[0]?.announcement === "sent" && all
  })
  expect(shown).toMatchObject([{ id: "tenure_30", kind: "tenure", detail: { days: 30 } }])
  await advanceClock("PT2H")
  const sent = await mailbox()
  const teamMessages = sent.filter(({ body }) => body.includes("stripe_cus_ms2"))
  expect(teamMessages.map(({ channel }) => channel)).toEqual(["slack"])
  expect(teamMessages[0]?.body).toContain("stripe_cus_ms2: a customer for 30 days")
  expect(teamMessages[0]?.body).not.toContain("example.com")
  expect(sent.filter(({ to }) => to.includes("ms2@example.com"))).toEqual([])
  const [row] = await sql<{ days: number }>(
    "select extract(epoch from milestone_due_at - now())::int / 86400 as days from customers where id = 'stripe_cus_ms2'",
  )
  expect(row?.days).toBeGreaterThan(300)
})

test("another company cannot see them", async () => {
  await sendNewCustomer("cus_ms3", {})
  await waitUntilProcessed()
  await addCompany("other_ms")
  const key = await newApiKey("admin", "other_ms")
  expect((await api("/api/customers/cus_ms3/milestones", { key })).status).toBe(404)
  expect((await api("/api/customers/cus_ms3/milestones")).status).toBe(200)
})
