/** One customer beyond all limits: others are not affected, nothing is lost, and the team is notified. */
import { beforeEach, describe, expect, test } from "vitest"
import { postJobAction } from "../../support/actions/jobs.ts"
import { caseOf, failPayment, messages } from "../../support/actions/members.ts"
import { envelope, fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import { putProviderObject } from "../../support/world/external-services.ts"
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

/** `CUSTOMER_EVENTS_PER_HOUR`, and the limit of links of one customer. */
const EVENTS_MAX = 1_000
const LINKS_MAX = 10_000

/** A customer with one failed invoice and that many events within the hour, inserted as rows. */
async function busyCustomer(events = EVENTS_MAX): Promise<{ readonly customer: string; readonly invoice: string }> {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice)
  await waitUntilProcessed()
  await sql(
    `insert into webhook_events (company_id, id, provider, account, provider_event_id, type, status, customer_id, occurred_at, received_at)
     select company_id, gen_random_uuid(), provider, account, $2 || n, type, 'processed', customer_id, occurred_at, received_at
     from webhook_events, generate_series(1, $3::integer) as n where customer_id = $1 and type = 'invoice.payment_failed'`,
    [`stripe_${customer}`, fresh("evt_flood"), events - 1],
  )
  return { customer, invoice }
}

const customerBody = async (customer: string) =>
  (await api<{ quarantine: { reason: string } | null }>(`/api/customers/stripe_${customer}`)).body

const release = (customer: string) =>
  api<{ isReleased: boolean }>(`/api/customers/stripe_${customer}/release`, { method: "POST" })

const alerts = async () => (await mailbox()).filter(({ channel }) => channel === "slack").map(({ body }) => body)

const deadReasons = async (customer: string) =>
  (
    await sql<{ error: string }>("select error from webhook_events where customer_id = $1 and status = 'dead'", [
      `stripe_${customer}`,
    ])
  ).map(({ error }) => error)

test("an event beyond the hourly limit is answered 200, stored as a dead letter, and processed when replayed", async () => {
  const { customer } = await busyCustomer()
  const invoice = fresh("in")
  const { status, body } = await failPayment(customer, invoice)
  expect(status).toBe(200)
  expect(body).toMatchObject({ received: true, duplicate: false })
  const event = await api(`/api/events/${body.id}`)
  expect(event.body).toMatchObject({ status: "dead", error: "customer_flood" })
  const facts = await sql("select id from facts where body ->> 'invoiceId' = $1", [invoice])
  expect(facts).toHaveLength(0)

  // Another customer is not affected.
  const other = fresh("in")
  await failPayment(fresh("cus"), other)
  await waitFor(async () => (await api(`/api/cases/payment_${other}`)).status === 200)

  const retried = await api(`/api/dead-letters/event/${body.id}/retry`, { method: "POST" })
  expect(retried.status).toBeLessThan(300)
  await waitFor(async () => (await api(`/api/cases/payment_${invoice}`)).status === 200)
})

test("concurrent events of one customer do not exceed the limit", async () => {
  const left = 5
  const { customer } = await busyCustomer(EVENTS_MAX - left)
  const answers = await Promise.all(Array.from({ length: 20 }, () => failPayment(customer, fresh("in"))))
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  expect(await deadReasons(customer)).toHaveLength(20 - left)
})

test("signals count, and those beyond the limit become dead letters", async () => {
  const { customer } = await busyCustomer(EVENTS_MAX - 1)
  const signals = ["s1", "s2", "s3"].map((id) => ({
    id,
    customerId: customer,
    kind: "usage_recorded",
    meter: "m",
    quantity: 1,
  }))
  const { status, body } = await api<{ recorded: number }>("/api/signals", {
    method: "POST",
    body: JSON.stringify({ signals }),
    headers: { "content-type": "application/json" },
  })
  expect([status, body.recorded]).toEqual([200, 3])
  await waitUntilProcessed()
  expect(await deadReasons(customer)).toEqual(["customer_flood", "customer_flood"])
  expect(await sql("select id from facts where kind = 'usage_recorded'")).toHaveLength(1)
})

describe("a thin event", () => {
  const thinOf = async (customer: string, invoice: string) => {
    const at = await worldNow()
    const snapshot = invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice })
    await putProviderObject("stripe", "invoices", invoice, (snapshot.data as { object: object }).object)
    return {
      ...{ id: fresh("evt_thin"), object: "v2.core.event", type: "v1.invoice.payment_failed", livemode: false },
      ...{
        created: at.toISOString(),
        related_object: { id: invoice, type: "invoice", url: `/v1/invoices/${invoice}` },
      },
    }
  }

  test("of a customer beyond the limit becomes a dead letter when its customer is known", async () => {
    const { customer } = await busyCustomer()
    const { body, status } = await sendStripe(await thinOf(customer, fresh("in")))
    expect(status).toBe(200)
    await waitUntilProcessed()
    expect(await deadReasons(customer)).toEqual(["customer_flood"])
    const retried = await api(`/api/dead-letters/event/${body.id}/retry`, { method: "POST" })
    expect(retried.status).toBeLessThan(300)
    await waitUntilProcessed()
    expect(await deadReasons(customer)).toEqual([])
  })
})

test("a link beyond the limit is not stored, and its event becomes a dead letter with the reason", async () => {
  const { customer } = await busyCustomer(1)
  await sql(
    `insert into object_links (company_id, provider, object_id, root_id, is_customer, created_at)
     select $1, 'stripe', $2 || '_' || n, $2, true, now() from generate_series(1, $3::integer) as n`,
    [world().companyId, customer, LINKS_MAX],
  )
  const invoice = fresh("in")
  expect((await failPayment(customer, invoice)).status).toBe(200)
  expect(await deadReasons(customer)).toEqual(["too_many_links"])
  expect(await sql("select object_id from object_links where object_id = $1", [invoice])).toEqual([])
  expect(await customerBody(customer)).toMatchObject({ quarantine: { reason: "too_many_links" } })
  // An event without a new link is processed.
  const seen = envelope("customer.updated", await worldNow(), fresh("evt"), { id: customer, object: "customer" })
  expect((await sendStripe(seen)).status).toBe(200)
  await waitUntilProcessed()
  expect(await deadReasons(customer)).toEqual(["too_many_links"])
})

describe("a quarantine", () => {
  test("is reported to the team once, is shown, holds messages, and ends when an admin releases the customer", async () => {
    const { customer, invoice } = await busyCustomer()
    await failPayment(customer, fresh("in"))
    await failPayment(customer, fresh("in"))
    expect(await customerBody(customer)).toMatchObject({ quarantine: { reason: "customer_flood" } })
    const health = await api("/api/health/webhooks")
    expect(JSON.stringify(health.body)).toContain('"quarantined":1')

    for (let run = 0; run < 2; run++) await postJobAction("sweep", "run")
    const told = await waitFor(async () => ((await alerts()).length > 0 ? alerts() : null))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain(`Customer stripe_${customer} of ${world().companyId}`)
    expect(told[0]).toContain(`/api/customers/stripe_${customer}`)

    // The message of the first failure is due, and waits.
    await advanceClock("PT6S")
    await waitFor(async () => (await caseOf(invoice)).nudges.some(({ reason }) => reason === "quarantined"))
    expect((await mailbox()).filter(({ channel }) => channel === "email")).toEqual([])

    expect((await release(customer)).body).toMatchObject({ isReleased: true })
    expect((await release(customer)).body).toMatchObject({ isReleased: false })
    expect(await customerBody(customer)).toMatchObject({ quarantine: null })
    // The next run of `reminders` finds it.
    await advanceClock("PT6M")
    const sent = await messages(2)
    expect(sent.filter(({ channel }) => channel === "email")).toHaveLength(1)
  })

  test("ends a day after the last excess, and the next one is reported again", async () => {
    const { customer } = await busyCustomer()
    await failPayment(customer, fresh("in"))
    await postJobAction("sweep", "run")
    await waitFor(async () => (await alerts()).length === 1)
    await advanceClock("PT24H1M")
    expect(await customerBody(customer)).toMatchObject({ quarantine: null })
    await sql("update webhook_events set received_at = received_at + interval '24 hours' where status = 'processed'")
    await failPayment(customer, fresh("in"))
    expect(await customerBody(customer)).toMatchObject({ quarantine: { reason: "customer_flood" } })
    await postJobAction("sweep", "run")
    await waitFor(async () => (await alerts()).length === 2)
  })
})
