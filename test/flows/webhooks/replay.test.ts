/** Bulk replay: queued by one request, processed by sweep, and nothing happens twice. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment, failWhopPayment, payInvoice } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  control,
  mailbox,
  reset,
  setFault,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["qstash", "postgres"]) await setFault(target, "off")
})

interface Replay {
  readonly matched: number
  readonly queued: number
  readonly purged: number
  readonly more: boolean
  readonly lastReceivedAt: string | null
  readonly code?: string
}

const replay = (body: object | string, key?: string) =>
  api<Replay>("/api/events/replay", {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json" },
    ...(key !== undefined && { key }),
  })

/** Events of Stripe and Whop, minutes apart: two failures, a payment and a Whop failure. */
async function history() {
  const [ada, bob] = [fresh("cus"), fresh("cus")]
  const invoice = fresh("in")
  await failPayment(ada, invoice)
  await advanceClock("PT1M")
  await failPayment(bob, fresh("in"))
  await advanceClock("PT1M")
  await payInvoice(ada, invoice)
  await advanceClock("PT1M")
  await failWhopPayment({ user: fresh("user"), membership: fresh("mem"), payment: fresh("pay") })
  await advanceClock("PT1M")
  await waitUntilProcessed()
  const rows = await sql<{ id: string; received_at: Date }>(
    "select id, received_at from webhook_events order by received_at",
  )
  await setFault("qstash", "down")
  return { ada, bob, ids: rows.map(({ id }) => id), times: rows.map((row) => row.received_at.toISOString()) }
}

const queuedIds = async () =>
  (
    await sql<{ id: string }>(
      "select id from webhook_events where status = 'received' and attempts = 0 and replayed_at is not null order by received_at",
    )
  ).map(({ id }) => id)

test("each filter queues exactly the matching events", async () => {
  const { ada, bob, ids, times } = await history()
  const [a = "", b = "", c = "", d = ""] = ids
  await sql("update webhook_events set status = 'dead', error = 'processing_failed', attempts = 8 where id = $1", [b])
  await api("/api/jobs/sweep/pause", {
    method: "POST",
    body: '{"reason":"the test looks"}',
    headers: { "content-type": "application/json" },
  })
  const [, at1 = "", at2 = ""] = times
  const cases: readonly (readonly [object, readonly string[]])[] = [
    [{ status: "dead" }, [b]],
    [{ status: "processed" }, [a, c, d]],
    [{ status: "failed" }, []],
    [{ provider: "whop" }, [d]],
    [{ provider: "stripe" }, [a, b, c]],
    [{ type: "invoice.paid" }, [c]],
    [{ customerId: bob }, [b]],
    [{ customerId: `stripe_${ada}` }, [a, c]],
    [{ since: at1 }, [b, c, d]],
    [{ until: at1 }, [a]],
    [{ since: at1, until: at2 }, [b]],
    [{ provider: "stripe", status: "processed", since: at1 }, [c]],
    [{ provider: "stripe", limit: 2 }, [a, b]],
  ]
  const before = await sql("select id, status, attempts, error from webhook_events order by received_at")
  for (const [filter, expected] of cases) {
    const { status, body } = await replay(filter)
    const more = "limit" in filter
    expect([filter, status, body.matched, body.queued, body.purged, body.more]).toEqual([
      ...[filter, 202, expected.length, expected.length, 0, more],
    ])
    expect([filter, await queuedIds()]).toEqual([filter, expected])
    expect(body.lastReceivedAt).toBe(expected.length === 0 ? null : times[ids.indexOf(expected.at(-1) ?? "")])
    for (const row of before) {
      await sql("update webhook_events set status = $2, attempts = $3, error = $4, replayed_at = null where id = $1", [
        ...[row.id, row.status, row.attempts, row.error],
      ])
    }
  }
})

test("dead events are processed by the next sweep, and earlier effects are not repeated", async () => {
  const { ids } = await history()
  await advanceClock("PT10M")
  const sent = (await mailbox()).length
  expect(sent).toBeGreaterThan(0)
  const facts = await sql("select id, body from facts where event_id is not null order by id")
  await sql(
    "update webhook_events set status = 'dead', error = 'processing_failed', attempts = 8, next_attempt_at = null",
  )
  const { body } = await replay({ status: "dead" })
  expect(body).toMatchObject({ matched: ids.length, queued: ids.length, more: false })
  await advanceClock("PT2M")
  expect(await sql("select distinct status, error from webhook_events")).toEqual([{ status: "processed", error: null }])
  expect(await sql("select id, body from facts where event_id is not null order by id")).toEqual(facts)
  expect((await mailbox()).length).toBe(sent)
})

test("one bad event among many is dead again with its reason, and the others are processed", async () => {
  for (let member = 0; member < 20; member++) await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await sql("update webhook_events set status = 'dead', attempts = 8, next_attempt_at = null")
  const [bad] = await sql<{ id: string }>(
    `update webhook_events set payload = decode('00', 'hex')
     where id = (select id from webhook_events order by received_at offset 3 limit 1) returning id`,
  )
  expect((await replay({ status: "dead" })).body).toMatchObject({ queued: 20 })
  await advanceClock("PT2M")
  expect(await sql("select id, error from webhook_events where status <> 'processed'")).toEqual([
    { id: bad?.id, error: "payload_does_not_open" },
  ])
})

test("sweep is triggered at once", async () => {
  const { ids } = await history()
  await setFault("qstash", "off")
  await sql("update webhook_events set status = 'dead', attempts = 8, next_attempt_at = null")
  await sql("update job_states set is_paused = false")
  expect((await replay({ status: "dead" })).body.queued).toBe(ids.length)
  await waitUntilProcessed()
  const asked = await waitFor(async () => {
    const runs = await sql("select outcome from job_runs where job = 'sweep' and source = 'qstash' and slot is null")
    return runs.every(({ outcome }) => outcome !== null) && runs
  })
  expect(asked).toMatchObject([{ outcome: "swept" }])
})

test("events with a purged payload are left out and counted, and do not block others", async () => {
  const { ids } = await history()
  await sql("update webhook_events set status = 'dead'")
  await sql("update webhook_events set payload = null where id = any($1)", [ids.slice(0, 2)])
  expect((await replay({ status: "dead", limit: 1 })).body).toMatchObject({ queued: 1, purged: 1, more: true })
  expect((await replay({ status: "dead", limit: 2 })).body).toMatchObject({
    matched: 3,
    queued: 1,
    purged: 2,
    more: false,
  })
  expect(await queuedIds()).toEqual(ids.slice(2))
})

describe("a replay is refused", () => {
  test("without a filter, and for an invalid filter", async () => {
    for (const body of [
      ...[
        {},
        { limit: 5 },
        { status: "gone" },
        { provider: "paypal" },
        { company: "x" },
        { type: "" },
        { since: "today" },
      ],
      ...[{ since: "0000-01-01T00:00:00Z" }, { status: "dead", limit: 0 }, { status: "dead", limit: 10_001 }, [], "{"],
      ...[{ status: "dead", limit: 1.5 }, { status: ["dead"] }, { customerId: "\u0000" }],
    ]) {
      expect([body, (await replay(body)).status]).toEqual([body, 400])
    }
    expect((await api("/api/events/replay", { method: "POST" })).status).toBe(400)
  })

  test("to everybody but admins", async () => {
    for (const role of ["success-manager", "success-analyst"] as const) {
      expect((await replay({ status: "dead" }, await newApiKey(role))).status).toBe(403)
    }
    expect((await replay({ status: "dead" }, await newApiKey("admin"))).status).toBe(202)
  })

  test("while processing is off, so that held events stay held", async () => {
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    await advanceClock("PT10S")
    await failPayment(fresh("cus"), fresh("in"))
    expect(await replay({ status: "held" })).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
    expect(await sql("select status, replayed_at from webhook_events")).toEqual([{ status: "held", replayed_at: null }])
  })
})

test("a company replays its own events only", async () => {
  const B = fresh("company")
  await addCompany(B)
  await failPayment(fresh("cus"), fresh("in"))
  await failPayment(fresh("cus"), fresh("in"), {}, { path: `/api/webhooks/stripe/${B}` })
  await waitUntilProcessed()
  await setFault("qstash", "down")
  await sql("update webhook_events set status = 'dead'")
  expect((await replay({ status: "dead" }, await newApiKey("admin", B))).body).toMatchObject({ matched: 1, queued: 1 })
  expect(await sql("select company_id from webhook_events where status = 'dead'")).toEqual([
    { company_id: world().companyId },
  ])
})

test("ten thousand events, the maximum, are queued within the time-out, in one round trip", async () => {
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await setFault("qstash", "down")
  await sql(
    `insert into webhook_events (company_id, id, provider, account, provider_event_id, type, status, occurred_at, received_at, payload)
     select company_id, gen_random_uuid(), provider, account, provider_event_id || n, type, 'processed', occurred_at,
       received_at - n * interval '1 second', payload
     from webhook_events, generate_series(1, 30000) as n`,
  )
  await control("DELETE", "/stats")
  const startedAt = performance.now()
  const { status, body } = await replay({ provider: "stripe" })
  expect([status, body.queued, body.more]).toEqual([202, 10_000, true])
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  expect((await stats()).postgres).toBeLessThanOrEqual(2)
  const [row] = await sql<{ is_oldest: boolean }>(
    `select max(received_at) filter (where replayed_at is not null)
       < min(received_at) filter (where replayed_at is null) as is_oldest from webhook_events`,
  )
  expect(row?.is_oldest).toBe(true)
})

test("old events that were just queued do not change the health", async () => {
  await failPayment(fresh("cus"), fresh("in"))
  await advanceClock("PT2H")
  await waitUntilProcessed()
  await setFault("qstash", "down")
  await replay({ provider: "stripe" })
  const health = await fetch(`${world().workerUrl}/api/health/webhooks`)
  expect([health.status, await health.json()]).toMatchObject([200, { status: "pass" }])
})
