import Stripe from "stripe"
import { afterEach, beforeEach, expect, test } from "vitest"
import { createMailbox, type Mailbox } from "../channels/mailbox.ts"
import { createFaults } from "../faults.ts"
import { type ProviderApiServer, startStripeApi } from "./stripe.ts"

let mailbox: Mailbox
let server: ProviderApiServer
let stripe: Stripe
let now: Date
const faults = createFaults()

const clientFor = (apiKey: string): Stripe =>
  new Stripe(apiKey, {
    host: "127.0.0.1",
    port: String(server.port),
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
  })

async function createObject(kind: string, id: string, object: object): Promise<void> {
  const response = await fetch(`${server.url}/__objects/${kind}/${id}`, { method: "PUT", body: JSON.stringify(object) })
  expect(response.status).toBe(200)
}

beforeEach(async () => {
  now = new Date("2026-05-01T00:00:00Z")
  mailbox = createMailbox(() => now)
  server = await startStripeApi({ mailbox, faults, apiKey: "sk_test_1", now: () => now })
  stripe = clientFor("sk_test_1")
})
afterEach(() => server.stop())

test("a portal session has a URL at Stripe's host", async () => {
  const session = await stripe.billingPortal.sessions.create({ customer: "cus_1", return_url: "https://a.example" })
  expect(session.url).toMatch(/^https:\/\/billing\.stripe\.com\/p\/session\/test_/)
  expect(mailbox.calls).toMatchObject([
    {
      provider: "stripe",
      target: "stripe-api",
      method: "POST",
      path: "/v1/billing_portal/sessions",
      body: { customer: "cus_1", return_url: "https://a.example" },
    },
  ])
})

test("a discount needs a coupon that exists", async () => {
  const discount = () => stripe.subscriptions.update("sub_1", { discounts: [{ coupon: "save20" }] })
  await expect(discount()).rejects.toMatchObject({ statusCode: 400, code: "resource_missing" })
  await stripe.coupons.create({ id: "save20", percent_off: 20, duration: "once" })
  expect((await discount()).discounts).toHaveLength(1)
  await expect(stripe.coupons.create({ id: "save20", percent_off: 20 })).rejects.toMatchObject({
    code: "resource_already_exists",
  })
})

test("a repeated idempotency key gets the same answer for a day; other parameters are refused", async () => {
  const create = (percent: number) => stripe.coupons.create({ percent_off: percent }, { idempotencyKey: "k1" })
  const first = await create(10)
  expect((await create(10)).id).toBe(first.id)
  await expect(create(20)).rejects.toBeInstanceOf(Stripe.errors.StripeIdempotencyError)
  expect(mailbox.calls.map(({ idempotencyKey, isReplay, status }) => [idempotencyKey, isReplay, status])).toEqual([
    ["k1", false, 200],
    ["k1", true, 200],
    ["k1", false, 400],
  ])
  now = new Date("2026-05-02T00:00:01Z")
  expect((await create(10)).id).not.toBe(first.id)
})

test("created objects are read, others are 404 in Stripe's form", async () => {
  await createObject("charges", "ch_1", { object: "charge", customer: "cus_1", created: 1 })
  expect((await stripe.charges.retrieve("ch_1")).customer).toBe("cus_1")
  await expect(stripe.invoices.retrieve("in_none")).rejects.toMatchObject({
    statusCode: 404,
    code: "resource_missing",
    type: "StripeInvalidRequestError",
    message: "No such invoice: 'in_none'",
  })
})

test("invoice payments are found by payment intent", async () => {
  await createObject("invoice_payments", "inpay_1", {
    invoice: "in_1",
    payment: { type: "payment_intent", payment_intent: "pi_1" },
  })
  await createObject("invoice_payments", "inpay_2", {
    invoice: "in_2",
    payment: { type: "payment_intent", payment_intent: "pi_2" },
  })
  const { data } = await stripe.invoicePayments.list({ payment: { type: "payment_intent", payment_intent: "pi_2" } })
  expect(data.map(({ id }) => id)).toEqual(["inpay_2"])
})

const secondsAgo = (seconds: number): number => Math.floor(now.getTime() / 1_000) - seconds

test("events are paged newest first, by type and time", async () => {
  const start = secondsAgo(100)
  for (let n = 1; n <= 25; n += 1) {
    await createObject("events", `evt_${n}`, {
      object: "event",
      created: start + n,
      type: n % 5 === 0 ? "invoice.paid" : "charge.failed",
    })
  }
  const ids: string[] = []
  const created = { gte: start + 3, lt: start + 25 }
  for await (const { id } of stripe.events.list({ created, limit: 7 })) ids.push(id)
  expect(ids).toEqual(Array.from({ length: 22 }, (_, index) => `evt_${24 - index}`))
  const paid = await stripe.events.list({ types: ["invoice.paid"], limit: 2 })
  expect([paid.data.map(({ id }) => id), paid.has_more]).toEqual([["evt_25", "evt_20"], true])
  const rest = await stripe.events.list({ limit: 100, starting_after: "evt_2", created: { lte: start + 25 } })
  expect([rest.data.map(({ id }) => id), rest.has_more]).toEqual([["evt_1"], false])
})

test("events are available for thirty days, in lists and by id", async () => {
  const days = 86_400
  await createObject("events", "evt_kept", { object: "event", created: secondsAgo(30 * days), type: "invoice.paid" })
  await createObject("events", "evt_gone", {
    object: "event",
    created: secondsAgo(30 * days + 1),
    type: "invoice.paid",
  })
  expect((await stripe.events.list({ created: { gte: 1 } })).data.map(({ id }) => id)).toEqual(["evt_kept"])
  await expect(stripe.events.retrieve("evt_gone")).rejects.toMatchObject({ statusCode: 404 })
  expect((await stripe.events.retrieve("evt_kept")).id).toBe("evt_kept")
})

test("a connected account's events and subscriptions are separate", async () => {
  for (const [id, account] of [
    ["own", undefined],
    ["other", "acct_1"],
  ] as const) {
    await createObject("events", `evt_${id}`, {
      object: "event",
      created: secondsAgo(1),
      type: "invoice.paid",
      account,
    })
    await createObject("subscriptions", `sub_${id}`, { object: "subscription", status: "active", account })
  }
  const listed = async (options: { stripeAccount?: string }) => [
    ...(await stripe.events.list({}, options)).data.map(({ id }) => id),
    ...(await stripe.subscriptions.list({}, options)).data.map(({ id }) => id),
  ]
  expect(await listed({})).toEqual(["evt_own", "sub_own"])
  expect(await listed({ stripeAccount: "acct_1" })).toEqual(["evt_other", "sub_other"])
  await expect(stripe.subscriptions.retrieve("sub_other")).rejects.toMatchObject({ statusCode: 404 })
})

test("canceled subscriptions are listed only with a status filter", async () => {
  for (const status of ["active", "past_due", "canceled"] as const)
    await createObject("subscriptions", `sub_${status}`, { object: "subscription", status })
  const ids = async (status?: "all" | "canceled") =>
    (await stripe.subscriptions.list(status === undefined ? {} : { status })).data.map(({ id }) => id).sort()
  expect(await ids()).toEqual(["sub_active", "sub_past_due"])
  expect(await ids("canceled")).toEqual(["sub_canceled"])
  expect(await ids("all")).toEqual(["sub_active", "sub_canceled", "sub_past_due"])
  expect((await stripe.subscriptions.retrieve("sub_canceled")).status).toBe("canceled")
})

test("a wrong key is 401", async () => {
  await expect(clientFor("sk_test_other").customers.retrieve("cus_1")).rejects.toMatchObject({ statusCode: 401 })
})

test("a customer can be changed and read again", async () => {
  await stripe.customers.update("cus_9", { metadata: { a: "b" } })
  expect(await stripe.customers.retrieve("cus_9")).toMatchObject({ id: "cus_9", metadata: { a: "b" } })
})

test("a further discount keeps the named ones; they are shown as objects only when expanded", async () => {
  for (const id of ["a", "b"]) await stripe.coupons.create({ id, percent_off: 5 })
  const first = await stripe.subscriptions.update("sub_1", { discounts: [{ coupon: "a" }] })
  const [present] = first.discounts
  expect(present).toMatch(/^di_/)
  const update = { discounts: [{ discount: String(present) }, { coupon: "b" }], expand: ["discounts"] }
  const { discounts } = await stripe.subscriptions.update("sub_1", update)
  expect(discounts).toMatchObject([{ id: present, source: { coupon: "a" } }, { source: { coupon: "b" } }])
  expect((await stripe.subscriptions.retrieve("sub_1")).discounts).toEqual([present, expect.stringMatching(/^di_/)])
})

test("the end of a trial is a number, and metadata is merged", async () => {
  await createObject("subscriptions", "sub_2", { status: "active", metadata: { kept: "1", gone: "2" } })
  const trialEnd = Math.floor(now.getTime() / 1_000) + 86_400
  await stripe.subscriptions.update("sub_2", { trial_end: trialEnd, metadata: { added: "3", gone: "" } })
  expect(await stripe.subscriptions.retrieve("sub_2")).toMatchObject({
    trial_end: trialEnd,
    status: "trialing",
    metadata: { kept: "1", added: "3" },
  })
})

test("a thin event, its snapshot event and its object can be read", async () => {
  await createObject("core_events", "evt_thin", {
    object: "v2.core.event",
    type: "v1.invoice.paid",
    snapshot_event: "evt_1",
  })
  await createObject("events", "evt_1", {
    object: "event",
    type: "invoice.paid",
    created: Math.floor(now.getTime() / 1_000),
  })
  await createObject("checkout_sessions", "cs_1", { object: "checkout.session" })
  await createObject("payment_methods", "pm_1", { object: "payment_method" })
  expect(await stripe.v2.core.events.retrieve("evt_thin")).toMatchObject({ id: "evt_thin", snapshot_event: "evt_1" })
  expect(await stripe.events.retrieve("evt_1")).toMatchObject({ id: "evt_1" })
  expect(await stripe.checkout.sessions.retrieve("cs_1")).toMatchObject({ id: "cs_1" })
  expect(await stripe.paymentMethods.retrieve("pm_1")).toMatchObject({ id: "pm_1" })
  await expect(stripe.v2.core.events.retrieve("evt_none")).rejects.toMatchObject({ statusCode: 404 })
  await expect(stripe.checkout.sessions.retrieve("cs_none")).rejects.toMatchObject({ statusCode: 404 })
})

test("lists of subscriptions exclude canceled ones, unless status is all", async () => {
  await createObject("subscriptions", "sub_a", { status: "active", created: 1 })
  await createObject("subscriptions", "sub_c", { status: "canceled", created: 2 })
  const ids = async (status?: "all" | "canceled") =>
    (await stripe.subscriptions.list(status === undefined ? {} : { status })).data.map(({ id }) => id)
  expect([await ids(), await ids("all"), await ids("canceled")]).toEqual([["sub_a"], ["sub_c", "sub_a"], ["sub_c"]])
})

test("a list shows expanded fields as objects", async () => {
  await createObject("charges", "ch_1", { object: "charge", customer: "cus_1", payment_intent: "pi_1", created: 5 })
  await createObject("refunds", "re_1", { charge: "ch_1", created: 6 })
  await createObject("refunds", "re_2", { charge: "ch_unknown", created: 7 })
  const { data } = await stripe.refunds.list({ expand: ["data.charge"], created: { gte: 6, lt: 8 } })
  expect(data.map(({ charge }) => charge)).toEqual(["ch_unknown", expect.objectContaining({ customer: "cus_1" })])
  expect((await stripe.refunds.list()).data.map(({ charge }) => charge)).toEqual(["ch_unknown", "ch_1"])
  expect((await stripe.charges.list({ payment_intent: "pi_1" })).data).toHaveLength(1)
  expect((await stripe.charges.list({ payment_intent: "pi_2" })).data).toEqual([])
})
