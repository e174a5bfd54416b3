/** A statement that a time limit of the Worker's role cancels: a defined answer or the fallback queue, and nothing is lost. */
import pg from "pg"
import { afterEach, beforeEach, expect, test } from "vitest"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import { api, reset, sql, waitFor, world, worldNow } from "../../support/world/world.ts"

/** Well below DATABASE_TIMEOUT_MS, so that Postgres ends the statement before the Worker stops waiting for it. */
const SHORT = "200ms"

/** Ends open sessions, because a session reads the limits of its role when it begins. */
const endSessions = () => sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'churn_worker'")

beforeEach(reset)
afterEach(async () => {
  await sql("alter role churn_worker set statement_timeout = '30s'")
  await sql("alter role churn_worker set lock_timeout = '5s'")
  await endSessions()
})

test.each([
  ["lock_timeout", "55P03"],
  ["statement_timeout", "57014"],
])("what %s cancels is taken in by the fallback queue, or answered 503, and is done once", async (limit, sqlState) => {
  await sql(`alter role churn_worker set ${limit} = '${SHORT}'`)
  await endSessions()
  const customer = fresh("cus")
  const event = invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer, invoice: fresh("in") })

  const blocker = new pg.Client({ connectionString: world().postgresUrl })
  await blocker.connect()
  try {
    await blocker.query("begin; lock table webhook_event_keys, recovery_cases in access exclusive mode")
    const taken = await sendStripe(event)
    expect(taken.status).toBe(200)
    expect(taken.body).toMatchObject({ received: true, duplicate: false })

    const startedAt = performance.now()
    const refused = await api("/api/cases")
    expect(performance.now() - startedAt).toBeLessThan(1_500)
    expect(refused.status).toBe(503)
    expect(refused.body).toMatchObject({
      code: "UNAVAILABLE",
      detail: "The data cannot be reached now. Please try again.",
    })
    const worker = new URL(world().postgresUrl)
    worker.username = "churn_worker"
    const direct = new pg.Client({ connectionString: worker.href })
    await direct.connect()
    await expect(direct.query("select 1 from recovery_cases")).rejects.toMatchObject({ code: sqlState })
    await direct.end()
  } finally {
    await blocker.query("rollback")
    await blocker.end()
  }

  await waitFor(async () => (await sql("select 1 from recovery_cases where status = 'open'")).length === 1, 60)
  expect(await sql("select count(*)::int as events from webhook_event_keys")).toEqual([{ events: 1 }])
  expect((await sendStripe(event)).body).toMatchObject({ received: true, duplicate: true })
})
