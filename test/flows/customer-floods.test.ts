/** One customer with more than anybody has: it costs the others nothing, and nothing of it is lost. */
import { beforeEach, expect, test } from "vitest"
import { failPayment } from "../support/members.ts"
import { fresh } from "../support/providers.ts"
import { api, eventually, reset, settled, sql } from "../support/world.ts"

beforeEach(reset)

test("an event beyond the customer's hour is kept as a dead letter, answers 200, and is processed when it is replayed", async () => {
  const customer = fresh("cus")
  await failPayment(customer, fresh("in"))
  await settled()
  // The default is a thousand an hour; one row stands for each.
  await sql(
    `insert into webhook_events (company_id, id, provider, account, provider_event_id, type, status, customer_id, occurred_at, received_at)
     select company_id, gen_random_uuid(), provider, account, 'evt_flood_' || n, type, 'processed', customer_id, occurred_at, received_at
     from webhook_events, generate_series(1, 1000) as n where customer_id = $1 and type = 'invoice.payment_failed'`,
    [`stripe_${customer}`],
  )
  const invoice = fresh("in")
  const { status, body } = await failPayment(customer, invoice)
  expect(status).toBe(200)
  expect(body).toMatchObject({ received: true, duplicate: false })
  const event = await api(`/api/events/${body.id}`)
  expect(event.body).toMatchObject({ status: "dead", error: "customer_flood" })
  const facts = await sql("select id from facts where body ->> 'invoiceId' = $1", [invoice])
  expect(facts).toHaveLength(0)

  // Another customer is not concerned.
  const other = fresh("in")
  await failPayment(fresh("cus"), other)
  await eventually(async () => (await api(`/api/cases/payment_${other}`)).status === 200)

  const retried = await api(`/api/dead-letters/event/${body.id}/retry`, { method: "POST" })
  expect(retried.status).toBeLessThan(300)
  await eventually(async () => (await api(`/api/cases/payment_${invoice}`)).status === 200)
})
