/**
 * No invocation makes more subrequests than its plan allows, whatever work is pending: the next one does the rest. The Worker's
 * code runs in this process, where its calls are counted. Over 300 lines because all tests share one clock ahead.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import {
  CHUNK_SUBREQUESTS,
  DEAD_LETTER_PAGE_SUBREQUESTS,
  END_RUN_SUBREQUESTS,
  EVENT_SUBREQUESTS,
  FALLBACK_SUBREQUESTS,
  INCENTIVE_SUBREQUESTS,
  NUDGE_SUBREQUESTS,
  OBJECT_SUBREQUESTS,
  SETTLE_SUBREQUESTS,
} from "../../../workers/platform/outbound/subrequests.ts"
import { failPayment } from "../../support/actions/members.ts"
import { envelope, fresh, invoiceEvent, sendStripe, stripeSignature } from "../../support/events/providers.ts"
import { type ClockAhead, startClockAhead } from "../../support/world/clock-ahead.ts"
import { putProviderObject, qstash, setSwitchForAll } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
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

/** Cloudflare's limit of the free plan. */
const FREE = 50
const HOUR_MS = 3_600_000
/** Of the sweep's runs. */
const INTERVAL_MS = 60_000
/** Longer than switches are cached for work with effects, and than a lease is left without a heartbeat. */
const SKIPPED_MS = 6_000

/** The processes of this file have a clock ahead of the world's: what is due for them is not due for the world's Worker. */
let future: ClockAhead
beforeAll(async () => {
  await reset()
  future = await startClockAhead(HOUR_MS)
})
afterAll(() => future.stop())

beforeEach(reset)
afterEach(async () => {
  for (const target of ["qstash", "postgres"]) await setFault(target, "off")
})

interface Limits {
  readonly max?: number
}

/** Runs a job like an operator, in a separate process with that many calls; returns how many it made. */
async function run(job: string, payload: object = {}, { max = FREE }: Limits = {}): Promise<number> {
  const request = new Request(`${world().vars.APP_URL}/jobs/${job}`, {
    method: "POST",
    headers: { authorization: `Bearer ${world().adminApiKey}` },
    body: JSON.stringify(payload),
  })
  const { status, calls } = await runInProcess(request, null, { CLOCK_URL: future.url, SUBREQUESTS_MAX: String(max) })
  expect(status).toBe(200)
  expect(calls).toBeLessThanOrEqual(max)
  return calls
}

/** The isolate's caches depend on the clock, which goes back between tests; so each test advances further than the last. */
let moves = 0
const expireCaches = () => advanceClock(`PT${++moves}M`)

/** Recorded events that are not folded before the world's clock reaches this file's. */
async function insertEvents(count: number): Promise<void> {
  await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
  await expireCaches()
  for (let sent = 0; sent < count; sent += 20) {
    const size = Math.min(20, count - sent)
    await Promise.all(Array.from({ length: size }, () => failPayment(fresh("cus"), fresh("in"))))
  }
  // An event is held after its answer.
  await settle()
  const soon = new Date((await worldNow()).getTime() + HOUR_MS / 2).toISOString()
  // As if each worker was lost right after the answer.
  await sql("update webhook_events set status = 'received', next_attempt_at = $1 where status = 'held'", [soon])
  await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
  expect(await unfinished()).toHaveLength(count)
}

/** Events that are not folded, and why. */
const unfinished = () =>
  sql<{ status: string; attempts: number; error: string | null; next_attempt_at: Date | null }>(
    `select status, attempts, error, next_attempt_at from webhook_events where status in ('received', 'failed', 'held')`,
  )

/** Due nudges of that many members, claimed by a dispatcher that was lost. */
async function insertNudges(count: number): Promise<readonly string[]> {
  await expireCaches()
  await setFault("qstash", "down")
  await Promise.all(Array.from({ length: count }, () => failPayment(fresh("cus"), fresh("in"))))
  await waitUntilProcessed()
  const until = new Date((await worldNow()).getTime() + HOUR_MS / 2).toISOString()
  const rows = await sql<{ id: string }>(
    "update nudges set lease_owner = 'run', lease_until = $1 where step = 0 returning id",
    [until],
  )
  expect(rows).toHaveLength(count)
  return rows.map(({ id }) => id)
}

const statuses = async (): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries(
    (
      await sql<{ status: string; nudges: number }>(
        "select status, count(*)::int as nudges from nudges where step = 0 group by 1",
      )
    ).map(({ status, nudges }) => [status, nudges]),
  )

test("a backlog of 120 events with fifty calls: no run makes more, and all is done after some runs", async () => {
  const BACKLOG = 120
  await insertEvents(BACKLOG)
  const calls: number[] = []
  // A run that does nothing would also stay within the limit.
  while ((await unfinished()).length > 0 && calls.length < BACKLOG / 5) {
    calls.push(await run("sweep"))
    future.advance(INTERVAL_MS)
  }
  expect(await unfinished()).toEqual([])
  expect(await sql("select count(*)::int as cases from recovery_cases where status = 'open'")).toEqual([
    { cases: BACKLOG },
  ])
  expect(Math.max(...calls)).toBeLessThanOrEqual(FREE)
  console.info(`${BACKLOG} events took ${calls.length} runs of ${Math.min(...calls)} to ${Math.max(...calls)} calls`)
})

test("the end of a run is recorded, also when switches and lease are renewed with its last calls", async () => {
  await insertEvents(80)
  const max = 40
  for (let call = 20; call <= max; call++) {
    const restore = skipTimeAt(call)
    await run("sweep", {}, { max }).finally(restore)
    future.advance(INTERVAL_MS)
  }
  expect(await sql("select distinct outcome from job_runs where job = 'sweep'")).toEqual([{ outcome: "swept" }])
})

/** Lets cached switches expire, and the lease become due, before an outgoing call of this process; returns what ends this. */
function skipTimeAt(call: number): () => void {
  const { fetch: realFetch } = globalThis
  const realNow = Date.now
  let calls = 0
  globalThis.fetch = (...args) => {
    calls += 1
    return realFetch(...args)
  }
  Date.now = () => realNow() + (calls >= call ? SKIPPED_MS : 0)
  return () => Object.assign(globalThis, { fetch: realFetch }) && Object.assign(Date, { now: realNow })
}

test("with the paid plan's limit a backlog takes one run", async () => {
  await insertEvents(60) // more than one page
  const calls = await run("sweep", {}, { max: 10_000 })
  expect(await unfinished()).toEqual([])
  expect(calls).toBeGreaterThan(FREE)
})

test("a backlog of nudges: each run sends what it can finish, returns the rest, and leaves none marked", async () => {
  const members = 36
  const ids = await insertNudges(members)
  const limits = [40, 44, 47, 50, 55, 60]
  for (let runs = 0; ((await statuses()).planned ?? 0) > 0; runs++) {
    expect(runs).toBeLessThan(members)
    const planned = await sql<{ id: string }>("select id from nudges where step = 0 and status = 'planned' limit 20")
    const nudgeIds = planned.map(({ id }) => id)
    const before = (await mailbox()).length
    const max = limits[runs % limits.length] ?? FREE
    await run("nudges", { companyId: world().companyId, nudgeIds, owner: "run" }, { max })
    const { planned: waiting = 0, sent = 0, ...others } = await statuses()
    expect([max, others]).toEqual([max, {}])
    expect(waiting + sent).toBe(members)
    expect((await mailbox()).length).toBeGreaterThan(before)
    // What was published and not sent can be claimed at once.
    expect(
      await sql("select id from nudges where id = any($1) and status = 'planned' and lease_owner is not null", [
        nudgeIds,
      ]),
    ).toEqual([])
  }
  const sent = await mailbox()
  expect(sent).toHaveLength(members)
  expect(new Set(sent.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(ids.length)
})

test("reminders claims no more than it can publish, and leaves the rest unclaimed", async () => {
  await insertNudges(60)
  await sql("update nudges set lease_owner = null, lease_until = null where step = 0")
  await setFault("qstash", "off")
  await settle()
  const calls = await run("reminders")
  expect(calls).toBeLessThanOrEqual(FREE)
  const [row] = await sql<{ taken: number }>(
    "select count(*)::int as taken from nudges where step = 0 and (status <> 'planned' or lease_owner is not null)",
  )
  expect(row?.taken).toBe(60)
})

describe("the reserved subrequests of a unit of work cover its maximum", () => {
  /** The calls of a sweep without work, for comparison: clock, switches, begin and end of the run. */
  const idle = () => run("sweep", {}, { max: 1_000 })

  test("an event", async () => {
    await idle()
    const before = await idle()
    await insertEvents(1)
    const cost = (await idle()) - before
    expect(cost).toBeGreaterThanOrEqual(3)
    // Publishing its nudge is not included: it is skipped when the budget is used up.
    expect(cost).toBeLessThanOrEqual(EVENT_SUBREQUESTS + 1)
  })

  test("a fallback delivery, known or new", async () => {
    await idle()
    const before = await idle()
    const event = invoiceEvent({
      type: "invoice.payment_failed",
      at: await worldNow(),
      customer: fresh("cus"),
      invoice: fresh("in"),
    })
    const enqueue = async () => {
      const body = JSON.stringify(event)
      const headers = {
        "stripe-signature": await stripeSignature(body, Math.floor((await worldNow()).getTime() / 1000)),
      }
      for (const target of ["postgres", "qstash"]) await setFault(target, "down")
      const url = `${world().vars.APP_URL}/api/webhooks/stripe`
      expect((await runInProcess(new Request(url, { method: "POST", body, headers }), null)).status).toBe(200)
      for (const target of ["postgres", "qstash"]) await setFault(target, "off")
    }
    await enqueue()
    await settle()
    const asNew = (await idle()) - before
    await enqueue()
    const asKnown = (await idle()) - before
    for (const cost of [asNew, asKnown]) {
      expect(cost).toBeGreaterThanOrEqual(3)
      expect(cost).toBeLessThanOrEqual(FALLBACK_SUBREQUESTS + 1)
    }
  })

  test("an object without a customer", async () => {
    await idle()
    const before = await idle()
    const [customer, charge, intent, invoice] = [fresh("cus"), fresh("ch"), fresh("pi"), fresh("in")]
    await putProviderObject("stripe", "charges", charge, {
      id: charge,
      object: "charge",
      customer,
      payment_intent: intent,
    })
    await putProviderObject("stripe", "invoices", invoice, { id: invoice, object: "invoice", customer })
    const dispute = { id: fresh("dp"), object: "dispute", charge, amount: 1999, currency: "usd", reason: "fraudulent" }
    const object = { ...dispute, status: "needs_response" }
    await sendStripe(envelope("charge.dispute.created", await worldNow(), fresh("evt"), object))
    await settle()
    const cost = (await idle()) - before
    expect(await sql("select 1 from customers where provider_customer_id = $1", [customer])).toHaveLength(1)
    expect(cost).toBeGreaterThanOrEqual(4)
    expect(cost).toBeLessThanOrEqual(OBJECT_SUBREQUESTS)
  })

  test("an unclear subscription", async () => {
    await idle()
    const before = await idle()
    const [customer, id] = [fresh("cus"), fresh("sub")]
    const object = (status: string) => ({ id, object: "subscription", customer, status, items: { data: [] } })
    const at = await worldNow()
    for (const status of ["past_due", "unpaid"]) {
      const event = envelope("customer.subscription.updated", at, fresh("evt"), object(status), { status: "active" })
      await sendStripe(event)
    }
    await putProviderObject("stripe", "subscriptions", id, object("trialing"))
    await waitUntilProcessed()
    await settle()
    const cost = (await idle()) - before
    expect(await sql("select status from subscriptions where id = $1", [id])).toEqual([{ status: "trialing" }])
    expect(cost).toBeGreaterThanOrEqual(5)
    expect(cost).toBeLessThanOrEqual(SETTLE_SUBREQUESTS)
  })

  test("a nudge, without an incentive and with one", async () => {
    const [plain = ""] = await insertNudges(1)
    const nudge = (id: string) => run("nudges", { companyId: world().companyId, nudgeIds: [id], owner: "run" })
    const cost = await nudge(plain)
    expect(await statuses()).toEqual({ sent: 1 })
    expect(cost).toBeGreaterThanOrEqual(4)
    expect(cost).toBeLessThanOrEqual(1 + NUDGE_SUBREQUESTS)

    await reset()
    const incentive = { kind: "discount", percentOff: 20, months: 2 }
    const playbooks = { payment: [{ day: 0, incentive }], cancellation: [], at_risk: [] }
    const body = JSON.stringify({ playbooks })
    await api("/api/settings", { method: "PUT", body, headers: { "content-type": "application/json" } })
    const customer = fresh("cus")
    await putProviderObject("stripe", "subscriptions", `sub_of_${customer}`, {
      ...{
        id: `sub_of_${customer}`,
        object: "subscription",
        customer,
        status: "past_due",
        discounts: [],
        metadata: {},
      },
      items: { object: "list", data: [{ id: "si_1", current_period_end: 1_900_000_000 }] },
    })
    await setFault("qstash", "down")
    await failPayment(customer, fresh("in"))
    await waitUntilProcessed()
    const [given] = await sql<{ id: string }>("select id from nudges where step = 0")
    const withIncentive = await nudge(given?.id ?? "")
    expect(await sql("select count(*)::int as given from incentives")).toEqual([{ given: 1 }])
    expect(withIncentive).toBeGreaterThan(cost)
    expect(withIncentive).toBeLessThanOrEqual(1 + NUDGE_SUBREQUESTS + INCENTIVE_SUBREQUESTS)
  })

  test("a page of dead messages", async () => {
    await idle()
    const before = await idle()
    const { QSTASH_URL: url = "", QSTASH_TOKEN: token = "", APP_URL: app = "" } = world().vars
    await setFault("postgres", "down")
    const published = await fetch(`${url}/v2/publish/${app}/jobs/nudges`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "upstash-retries": "0" },
      body: JSON.stringify({ companyId: world().companyId, nudgeIds: ["of_nobody"], owner: null }),
    })
    expect(published.ok).toBe(true)
    const dead = () => qstash<{ messages: unknown[] }>("/v2/dlq")
    await waitFor(async () => (await dead()).messages.length === 1)
    await setFault("postgres", "off")
    await settle()
    const cost = (await idle()) - before
    // A sweep without any lists them as well.
    expect(cost).toBe(DEAD_LETTER_PAGE_SUBREQUESTS - 1)
    expect((await dead()).messages).toEqual([])
  })

  test("a chunk, and the end of a run", async () => {
    await insertNudges(1)
    await sql("update nudges set lease_owner = null, lease_until = null where step = 0")
    await setFault("qstash", "off")
    const cost = await run("reminders")
    expect(cost).toBeGreaterThanOrEqual(4)
    // Besides these: the clock, the switches, the claim, and what is due before the next run.
    expect(cost).toBeLessThanOrEqual(4 + CHUNK_SUBREQUESTS + END_RUN_SUBREQUESTS)
  })
})
