/** Events of the other mode have no effect, at Stripe and at Whop, and are in no metric. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { envelope, fresh, invoiceEvent, sendStripe, sendWhop } from "../../support/events/providers.ts"
import { putProviderObject } from "../../support/world/external-services.ts"
import { type StartedWorld, startFlowsWorld } from "../../support/world/start-world.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  sql,
  useWorld,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

/** A failure, its recovery and a cancellation of one member at Stripe, of one mode. */
async function stripeEvents(livemode: boolean): Promise<string[]> {
  const [customer, invoice, subscription] = [fresh("cus"), fresh("in"), fresh("sub")]
  const at = await worldNow()
  const bill = (type: string) => invoiceEvent({ type, at, customer, invoice, subscription })
  const item = { price: { id: "price_1", unit_amount: 1999, currency: "usd", recurring: { interval: "month" } } }
  const canceling = { id: subscription, object: "subscription", customer, status: "active", cancel_at_period_end: true }
  const events = [
    bill("invoice.payment_failed"),
    bill("invoice.paid"),
    envelope(
      "customer.subscription.updated",
      at,
      fresh("evt"),
      {
        ...canceling,
        currency: "usd",
        items: { data: [item] },
        current_period_end: Math.floor(at.getTime() / 1000) + 900_000,
      },
      { cancel_at_period_end: false },
    ),
  ]
  const answers = await Promise.all(events.map((event) => sendStripe({ ...event, livemode })))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  return answers.map(({ body }) => String(body.id))
}

/** A failed payment at Whop; one of the sandbox has its page addresses. */
async function whopFailure(isLive: boolean, account: string): Promise<string> {
  const at = (await worldNow()).toISOString()
  const user = fresh("user")
  const answer = await sendWhop({
    ...{ id: fresh("msg"), api_version: "v1", type: "payment.failed", timestamp: at, company_id: account },
    data: {
      ...{ id: fresh("pay"), status: "open", total: 29.99, currency: "usd", created_at: at, payments_failed: 1 },
      ...{ billing_reason: "subscription_cycle", user: { id: user, name: "Ben", email: `${user}@example.com` } },
      membership: {
        id: fresh("mem"),
        status: "past_due",
        manage_url: `https://${isLive ? "" : "sandbox."}whop.com/orders/1`,
      },
    },
  })
  expect(answer.status).toBe(200)
  return String(answer.body.id)
}

/** Everything that could show an effect or count something. */
async function traces() {
  await waitUntilProcessed()
  await advanceClock("PT10M")
  await advanceClock("P2D")
  const summary = await api("/api/summary")
  const [rows] = await sql(
    `select (select count(*) from facts)::int as facts, (select count(*) from customers)::int as customers,
      (select count(*) from recovery_cases)::int as cases, (select count(*) from nudges)::int as nudges,
      (select count(*) from customer_pii)::int as contacts, (select count(*) from predictions)::int as scores`,
  )
  return { summary: summary.body, rows, messages: (await mailbox()).length }
}

const NOTHING = {
  rows: { facts: 0, customers: 0, cases: 0, nudges: 0, contacts: 0, scores: 0 },
  messages: 0,
}

describe.each([
  { mode: "live", isOtherModeLive: false, reason: "test_mode" },
  { mode: "test", isOtherModeLive: true, reason: "live_mode" },
])("a deployment in mode $mode", ({ mode, isOtherModeLive, reason }) => {
  let own: StartedWorld
  beforeAll(async () => {
    own = await startFlowsWorld(world().bundle, { STRIPE_MODE: mode, WHOP_MODE: mode, WHOP_ACCOUNTS: "any" })
    useWorld(own.access)
  })
  afterAll(async () => {
    useWorld(null)
    await own.stop()
  })
  beforeEach(reset)

  test("keeps events of the other mode without any effect, and counts them nowhere", async () => {
    const ids = [...(await stripeEvents(isOtherModeLive)), await whopFailure(isOtherModeLive, "biz_any")]
    const { summary, ...rest } = await traces()
    expect(rest).toEqual(NOTHING)
    const none = { open: 0, recovered: 0, lost: 0, reversed: 0 }
    expect(summary).toMatchObject({ events: { unhandled: 0, processed: 0 }, cases: none, recoveredMinor: {} })
    for (const id of ids) {
      expect((await api(`/api/events/${id}`)).body).toMatchObject({ status: "unhandled", error: reason })
    }
    const interventions = await api("/api/interventions")
    expect([interventions.status, JSON.stringify(interventions.body)]).toEqual([
      200,
      expect.not.stringMatching(/"cases":[1-9]/),
    ])
    const webhooks = await api<{ checks: unknown }>("/api/health/webhooks")
    expect(JSON.stringify(webhooks.body)).not.toContain(reason)
    expect((await api<{ data: unknown[] }>("/api/customers")).body.data).toEqual([])
  })

  test("has no effect from a replay", async () => {
    const [id = ""] = await stripeEvents(isOtherModeLive)
    await api(`/api/events/${id}/replay`, { method: "POST" })
    expect(await traces()).toMatchObject(NOTHING)
    expect((await api(`/api/events/${id}`)).body).toMatchObject({ status: "unhandled", error: reason })
  })

  test("has no effect from thin events, which may leave out their mode", async () => {
    const [customer, invoice, snapshotId] = [fresh("cus"), fresh("in"), fresh("evt")]
    const at = await worldNow()
    const event = {
      ...invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice }),
      livemode: isOtherModeLive,
      id: snapshotId,
    }
    const { data } = event as unknown as { data: { object: object } }
    await putProviderObject("stripe", "invoices", invoice, { ...data.object, livemode: isOtherModeLive })
    await putProviderObject("stripe", "events", snapshotId, event)
    const thin = (more: object) => ({
      ...{
        id: fresh("evt_thin"),
        object: "v2.core.event",
        type: "v1.invoice.payment_failed",
        created: at.toISOString(),
      },
      related_object: { id: invoice, type: "invoice", url: `/v1/invoices/${invoice}` },
      ...more,
    })
    for (const more of [{}, { snapshot_event: snapshotId }]) expect((await sendStripe(thin(more))).status).toBe(200)
    expect(await traces()).toMatchObject(NOTHING)
  })

  test("processes events of its own mode", async () => {
    await stripeEvents(!isOtherModeLive)
    await whopFailure(!isOtherModeLive, "biz_any")
    const { summary, messages } = await traces()
    expect(summary).toMatchObject({ cases: { open: 2, recovered: 1 }, recoveredMinor: { usd: 1999 } })
    expect(messages).toBeGreaterThan(0)
  })
})

describe("accounts of Whop", () => {
  let own: StartedWorld
  beforeAll(async () => {
    own = await startFlowsWorld(world().bundle, { WHOP_ACCOUNTS: "registered", WHOP_COMPANY_ID: "biz_ours" })
    useWorld(own.access)
  })
  afterAll(async () => {
    useWorld(null)
    await own.stop()
  })
  beforeEach(reset)

  test("registered: our own are ingested, an unregistered account's event is stored until the account is registered", async () => {
    await whopFailure(true, "biz_ours")
    const foreign = await whopFailure(true, "biz_stranger")
    await waitUntilProcessed()
    const count = async () => (await sql<{ n: number }>("select count(*)::int as n from recovery_cases"))[0]?.n
    expect(await count()).toBe(1)
    expect((await api<{ data: object[] }>("/api/events?status=unmapped_account")).body.data).toMatchObject([
      { id: foreign, account: "biz_stranger", status: "unmapped_account" },
    ])
    await sql("insert into company_accounts values ($1, 'whop', 'biz_stranger')", [world().companyId])
    await advanceClock("PT3M")
    await waitUntilProcessed()
    expect(await count()).toBe(2)
  })
})
