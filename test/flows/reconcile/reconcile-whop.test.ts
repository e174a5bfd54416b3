/** Whop stops retrying after 70 seconds; lost events are read from its delivery log or, without one, from its objects. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { caseOf, messages } from "../../support/actions/members.ts"
import { DAY_MS, MINUTE_MS, reconcile, recordedIds } from "../../support/actions/reconcile.ts"
import { fresh, sendWhop } from "../../support/events/providers.ts"
import { putProviderObject } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(() => setFault("whop-api", "off"))

const WHOP = { provider: "whop" }
type Payment = Record<string, unknown> & { readonly id: string }

/** A payment as in Whop's API. */
function payment(now: Date, more: Record<string, unknown> = {}): Payment {
  const user = fresh("user")
  return {
    id: fresh("pay"),
    company: { id: "biz_demo", title: "Demo" },
    user: { id: user, name: "Ben Example", username: "ben", email: `${user}@example.com` },
    membership: { id: fresh("mem"), status: "past_due" },
    ...{ total: 29.99, subtotal: 29.99, currency: "usd", billing_reason: "subscription_cycle" },
    ...{ payments_failed: 1, failure_message: "insufficient_funds", status: "open", substatus: "past_due" },
    created_at: new Date(now.getTime() - 2 * DAY_MS).toISOString(),
    updated_at: new Date(now.getTime() - 10 * MINUTE_MS).toISOString(),
    last_payment_attempt: new Date(now.getTime() - 10 * MINUTE_MS).toISOString(),
    next_payment_attempt: new Date(now.getTime() + DAY_MS).toISOString(),
    paid_at: null,
    ...more,
  }
}

/** The webhook about an object, sent some seconds after it happened. */
const webhook = (type: string, data: Payment, at: Date, id = fresh("msg")) => ({
  ...{ id, api_version: "v1", type, company_id: "biz_demo", data },
  timestamp: new Date(at.getTime() + 7_000).toISOString(),
})

/** An entry of Whop's delivery log. */
const logged = (endpoint: string, event: { readonly timestamp: string }, attempt: number) => {
  const id = fresh("whdel")
  const sentAt = new Date(Date.parse(event.timestamp) + attempt * 10_000).toISOString()
  return putProviderObject("whop", "webhook_deliveries", id, {
    ...{
      webhook_id: endpoint,
      request_body: event,
      resource_id: "x",
      response_code: 503,
      success: false,
      total_time: 1,
    },
    sent_at: sentAt,
  })
}

const endpointAt = (url: string, more: object = {}) => {
  const id = fresh("hook")
  return putProviderObject("whop", "webhooks", id, { url, api_version: "v1", enabled: true, events: [], ...more }).then(
    () => id,
  )
}

const ourUrl = () => `${world().vars.APP_URL}/api/webhooks/whop`

describe("with the delivery log", () => {
  test("every event that Whop gave up is fetched under its own id, after any number of attempts", async () => {
    const now = await worldNow()
    const hook = await endpointAt(ourUrl())
    const elsewhere = await endpointAt("https://example.com/hooks")
    const old = await endpointAt(ourUrl(), { api_version: "v2" })
    const events = Array.from({ length: 120 }, (_, index) => {
      const at = new Date(now.getTime() - 20 * DAY_MS + index * 3 * 60 * MINUTE_MS)
      const times = { last_payment_attempt: at.toISOString(), updated_at: at.toISOString() }
      return webhook("payment.failed", payment(now, times), at)
    })
    for (const event of events) for (const attempt of [0, 1, 3]) await logged(hook, event, attempt)
    await logged(elsewhere, webhook("payment.failed", payment(now), now), 0)
    await logged(old, webhook("payment.failed", payment(now), now), 0)
    const kept = events.filter((_, index) => index % 4 === 0)
    for (const event of kept) expect((await sendWhop(event)).status).toBe(200)
    await waitUntilProcessed()
    let [missing, steps] = [0, 0]
    for (let isComplete = false; !isComplete; steps++) {
      expect(steps).toBeLessThan(8)
      const { body } = await reconcile(WHOP)
      missing = body.missing
      isComplete = body.isComplete
    }
    expect(missing).toBe(90)
    expect(await recordedIds()).toEqual(events.map(({ id }) => id).sort())
    expect((await reconcile(WHOP)).body).toMatchObject({ missing: 0, fetched: 0, isComplete: true })
  })

  test("a payment that failed and was made during an outage gets no message", async () => {
    const now = await worldNow()
    const hook = await endpointAt(ourUrl())
    const at = (minutes: number) => new Date(now.getTime() - minutes * MINUTE_MS)
    const bill = payment(now, { last_payment_attempt: at(60).toISOString() })
    await logged(hook, webhook("payment.failed", bill, at(60)), 0)
    const paid = { ...bill, status: "paid", paid_at: at(30).toISOString() }
    await logged(hook, webhook("payment.succeeded", paid, at(30)), 0)
    expect((await reconcile(WHOP)).body).toMatchObject({ missing: 2, fetched: 2 })
    await waitUntilProcessed()
    await advanceClock("PT1M")
    expect(await caseOf(bill.id)).toMatchObject({ status: "recovered", nudges: [] })
    expect(await mailbox()).toEqual([])
  })
})

describe("without a delivery log", () => {
  const failedAt = (object: Payment) => new Date(String(object.last_payment_attempt))

  test("a lost failure is read from the payment: one case, one nudge, and nothing new the second time", async () => {
    const bill = payment(await worldNow())
    await putProviderObject("whop", "payments", bill.id, bill)
    expect((await reconcile(WHOP)).body).toMatchObject({ missing: 1, fetched: 1 })
    const recorded = await recordedIds()
    expect(recorded).toEqual([expect.stringMatching(new RegExp(`^made_${bill.id}_failed1_\\d+$`))])
    await messages(1)
    expect((await reconcile(WHOP)).body).toMatchObject({ missing: 0, fetched: 0 })
    expect(await recordedIds()).toEqual(recorded)
    await advanceClock("PT1H")
    expect(await mailbox()).toHaveLength(1)
    expect(await caseOf(bill.id)).toMatchObject({ status: "open", failureCount: 1 })
  })

  test.each(["the webhook first", "the object first"])(
    "webhook and object, %s: the failure counts once, one nudge",
    async (order) => {
      const now = await worldNow()
      const bill = payment(now)
      await putProviderObject("whop", "payments", bill.id, bill)
      const event = webhook("payment.failed", bill, failedAt(bill))
      if (order === "the webhook first") {
        await sendWhop(event)
        await waitUntilProcessed()
        expect((await reconcile(WHOP)).body).toMatchObject({ missing: 0, fetched: 0 })
      } else {
        expect((await reconcile(WHOP)).body).toMatchObject({ missing: 1, fetched: 1 })
        expect((await sendWhop(event)).body).toMatchObject({ duplicate: false })
      }
      await messages(1)
      await advanceClock("PT1H")
      expect(await mailbox()).toHaveLength(1)
      const found = await caseOf(bill.id)
      expect(found).toMatchObject({ status: "open", failureCount: 1, openedAt: bill.last_payment_attempt })
      const paid = {
        ...bill,
        status: "paid",
        substatus: "succeeded",
        paid_at: new Date(now.getTime() - 4 * MINUTE_MS).toISOString(),
      }
      await putProviderObject("whop", "payments", bill.id, { ...paid, updated_at: paid.paid_at })
      expect((await reconcile(WHOP)).body).toMatchObject({ missing: 1, fetched: 1 })
      await sendWhop(webhook("payment.succeeded", paid, new Date(paid.paid_at)))
      await waitUntilProcessed()
      const { body } = await api<{ data: object[] }>("/api/cases?provider=whop")
      expect(body.data).toMatchObject([
        { status: "recovered", failureCount: 1, closedAt: paid.paid_at, recoveredMinor: 2999 },
      ])
    },
  )

  test("refunds and disputes are read as well, also if they contain only their payment", async () => {
    const now = await worldNow()
    const at = (minutes: number) => new Date(now.getTime() - minutes * MINUTE_MS).toISOString()
    const bill = payment(now)
    await sendWhop(webhook("payment.failed", bill, failedAt(bill)))
    await sendWhop(webhook("payment.succeeded", { ...bill, status: "paid", paid_at: at(8) }, new Date(at(8))))
    await waitUntilProcessed()
    const money = { amount: 29.99, currency: "usd", payment: { id: bill.id } }
    await putProviderObject("whop", "refunds", "rf_1", { ...money, amount: 5, status: "succeeded", created_at: at(7) })
    await putProviderObject("whop", "disputes", "dspt_1", {
      ...money,
      status: "needs_response",
      created_at: at(6),
      reason: null,
      visa_rdr: false,
    })
    expect((await reconcile(WHOP)).body).toMatchObject({ missing: 2, fetched: 2 })
    await waitUntilProcessed()
    expect(await caseOf(bill.id)).toMatchObject({ status: "reversed" })
    expect(await sql("select refunded_minor from payments")).toEqual([{ refunded_minor: "500" }])
    expect((await reconcile(WHOP)).body).toMatchObject({ missing: 0, fetched: 0 })
  })

  test("a membership whose change was not reported is repaired by the comparison", async () => {
    const now = await worldNow()
    const [membership, user] = [fresh("mem"), fresh("user")]
    const object = {
      ...{ id: membership, company: { id: "biz_demo" }, user: { id: user, email: `${user}@example.com` } },
      ...{
        status: "active",
        cancel_at_period_end: false,
        currency: "usd",
        plan: { id: "plan_1" },
        product: { id: "prod_1" },
      },
      created_at: new Date(now.getTime() - 60 * DAY_MS).toISOString(),
      renewal_period_end: new Date(now.getTime() + 9 * DAY_MS).toISOString(),
    }
    await sendWhop(webhook("membership.activated", object, new Date(now.getTime() - DAY_MS)))
    await waitUntilProcessed()
    const sync = { ...WHOP, subscriptions: true }
    const rounds: readonly (readonly [object, object])[] = [
      [{}, { status: "active" }],
      [
        { cancel_at_period_end: true, status: "canceling" },
        { status: "active", leaves: true },
      ],
      [{ status: "past_due" }, { status: "past_due" }],
      [{ payment_collection_paused: true }, { status: "active" }],
      [{ status: "canceled" }, { status: "canceled" }],
      [{}, { status: "active", leaves: false }],
    ]
    for (const [index, [change, expected]] of rounds.entries()) {
      await putProviderObject("whop", "memberships", membership, { ...object, ...change })
      const { body } = await reconcile(sync)
      expect([index, body.repaired]).toEqual([index, index === 0 ? 0 : 1])
      await waitUntilProcessed()
      expect(await sql("select status, cancel_at is not null as leaves from subscriptions")).toMatchObject([expected])
      expect((await reconcile(sync)).body).toMatchObject({ differences: 0, repaired: 0 })
      await advanceClock("PT5S")
    }
    const { body } = await api<{ data: object[] }>("/api/cases?provider=whop")
    expect(body.data).toMatchObject([{ kind: "cancellation", status: "recovered" }])
  })
})
