/**
 * No invocation makes more calls to the outside than its plan allows, whatever waits for it: what is left is done by the
 * next one. The Worker's own code runs in this process, where its calls are counted one by one.
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
import { startClockAhead } from "../../support/world/clock-ahead.ts"
import { putProviderObject, qstash, setSwitchForAll } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  waitBetweenJobs,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

/** What Cloudflare allows on every plan. */
const FREE = 50
const HOUR_MS = 3_600_000

/** The processes of this file live in the world's future: what they find due there, the world's own Worker leaves alone. */
let future: Awaited<ReturnType<typeof startClockAhead>>
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

/** Runs a job as an operator starts it, in a process of its own with so many calls; answers how many it made. */
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

/** What the world's isolate remembers is dated by the clock, which goes back between tests: each goes further than the last. */
let moves = 0
const forgetOlderTests = () => advanceClock(`PT${++moves}M`)

/** Events that were recorded and that nobody folds before the world has caught up with this file's clock. */
async function leaveEvents(count: number): Promise<void> {
  await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
  await forgetOlderTests()
  for (let sent = 0; sent < count; sent += 20) {
    const size = Math.min(20, count - sent)
    await Promise.all(Array.from({ length: size }, () => failPayment(fresh("cus"), fresh("in"))))
  }
  const soon = new Date((await worldNow()).getTime() + HOUR_MS / 2).toISOString()
  // As if the worker of each had been lost right after the answer.
  await sql("update webhook_events set status = 'received', next_attempt_at = $1 where status = 'held'", [soon])
  await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
  expect(await left()).toBe(count)
}

/** Events that are not folded. */
async function left(): Promise<number> {
  const [row] = await sql<{ events: number }>(
    "select count(*)::int as events from webhook_events where status in ('received', 'failed', 'held')",
  )
  return row?.events ?? 0
}

/** Nudges of as many members that are due now and in the hands of a dispatcher that never came back. */
async function leaveNudges(count: number): Promise<readonly string[]> {
  await forgetOlderTests()
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

test("a backlog of 400 events under fifty calls: no run makes more, and all of it is done after some runs", async () => {
  const BACKLOG = 400
  await leaveEvents(BACKLOG)
  const calls: number[] = []
  while ((await left()) > 0 && calls.length < BACKLOG) calls.push(await run("sweep"))
  expect(await left()).toBe(0)
  expect(await sql("select count(*)::int as cases from recovery_cases where status = 'open'")).toEqual([
    { cases: BACKLOG },
  ])
  expect(Math.max(...calls)).toBeLessThanOrEqual(FREE)
  // A run that only just begins would keep the limit as well.
  expect(calls.length).toBeLessThanOrEqual(BACKLOG / 5)
  console.info(`${BACKLOG} events took ${calls.length} runs of ${Math.min(...calls)} to ${Math.max(...calls)} calls`)
}, 240_000)

test("with the calls of the paid plan the same backlog is one run", async () => {
  await leaveEvents(100)
  const calls = await run("sweep", {}, { max: 10_000 })
  expect(await left()).toBe(0)
  expect(calls).toBeGreaterThan(FREE)
})

test("a backlog of nudges: each run sends what it can finish, gives the rest back, and leaves none on its way", async () => {
  const members = 36
  const ids = await leaveNudges(members)
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
    // What was handed over and not sent may be taken by anybody at once.
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

test("reminders claim no more than they can hand out, and what is left stays free", async () => {
  await leaveNudges(60)
  await sql("update nudges set lease_owner = null, lease_until = null where step = 0")
  await setFault("qstash", "off")
  await waitBetweenJobs()
  const calls = await run("reminders")
  expect(calls).toBeLessThanOrEqual(FREE)
  const [row] = await sql<{ taken: number }>(
    "select count(*)::int as taken from nudges where step = 0 and (status <> 'planned' or lease_owner is not null)",
  )
  expect(row?.taken).toBe(60)
})

describe("what a unit of work costs at most is what it is begun with", () => {
  /** A sweep that finds nothing, as those below find one thing each; clock, switches and the note of the run included. */
  const idle = () => run("sweep", {}, { max: 1_000 })

  test("an event", async () => {
    await idle()
    const before = await idle()
    await leaveEvents(1)
    const cost = (await idle()) - before
    expect(cost).toBeGreaterThanOrEqual(3)
    // Handing its nudge to QStash is beside the cost: it is left out where there is no room.
    expect(cost).toBeLessThanOrEqual(EVENT_SUBREQUESTS + 1)
  })

  test("a parked delivery, known or not", async () => {
    await idle()
    const before = await idle()
    const event = invoiceEvent({
      type: "invoice.payment_failed",
      at: await worldNow(),
      customer: fresh("cus"),
      invoice: fresh("in"),
    })
    const park = async () => {
      const body = JSON.stringify(event)
      const headers = {
        "stripe-signature": await stripeSignature(body, Math.floor((await worldNow()).getTime() / 1000)),
      }
      for (const target of ["postgres", "qstash"]) await setFault(target, "down")
      const url = `${world().vars.APP_URL}/api/webhooks/stripe`
      expect((await runInProcess(new Request(url, { method: "POST", body, headers }), null)).status).toBe(200)
      for (const target of ["postgres", "qstash"]) await setFault(target, "off")
    }
    await park()
    await waitBetweenJobs()
    const asNew = (await idle()) - before
    await park()
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
    await waitBetweenJobs()
    const cost = (await idle()) - before
    expect(await sql("select 1 from customers where provider_customer_id = $1", [customer])).toHaveLength(1)
    expect(cost).toBeGreaterThanOrEqual(4)
    expect(cost).toBeLessThanOrEqual(OBJECT_SUBREQUESTS)
  })

  test("a subscription that is not clear", async () => {
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
    await waitBetweenJobs()
    const cost = (await idle()) - before
    expect(await sql("select status from subscriptions where id = $1", [id])).toEqual([{ status: "trialing" }])
    expect(cost).toBeGreaterThanOrEqual(5)
    expect(cost).toBeLessThanOrEqual(SETTLE_SUBREQUESTS)
  })

  test("a nudge, without an incentive and with one", async () => {
    const [plain = ""] = await leaveNudges(1)
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
    await waitBetweenJobs()
    const cost = (await idle()) - before
    // A sweep that finds none lists them too.
    expect(cost).toBe(DEAD_LETTER_PAGE_SUBREQUESTS - 1)
    expect((await dead()).messages).toEqual([])
  })

  test("a chunk, and the note of a run", async () => {
    await leaveNudges(1)
    await sql("update nudges set lease_owner = null, lease_until = null where step = 0")
    await setFault("qstash", "off")
    const cost = await run("reminders")
    expect(cost).toBeGreaterThanOrEqual(4)
    // Beside them the clock, the switches, the claim and what falls due before the next run.
    expect(cost).toBeLessThanOrEqual(4 + CHUNK_SUBREQUESTS + END_RUN_SUBREQUESTS)
  })
})
