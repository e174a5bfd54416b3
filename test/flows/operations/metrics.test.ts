/** Live metrics: requests, events and nudges of the last minutes, and that counting costs no round trips. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh, invoiceEvent, post, sendStripe } from "../../support/events/providers.ts"
import { redis } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  reset,
  setFault,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["redis", "postgres", "email"]) await setFault(target, "off")
})

interface Area {
  readonly requests: number
  readonly refused: number
  readonly errors: number
  readonly meanResponseMs: number | null
}
interface Metrics {
  readonly windowMinutes: number
  readonly isPartial: boolean
  readonly requests: number
  readonly errorRate: number | null
  readonly meanResponseMs: number | null
  readonly areas: Readonly<Record<"webhooks" | "api" | "jobs" | "links", Area>>
  readonly processing: Readonly<Record<string, number | null>>
  readonly delivery: Readonly<Record<string, number | null>>
  readonly refolds: { readonly whole: number; readonly lastSecond: number; readonly facts: number }
}

const metrics = async (query = ""): Promise<Metrics> => {
  const { status, body } = await api<Metrics>(`/api/figures${query}`)
  expect(status).toBe(200)
  return body
}

const deliver = async (type: string, customer = fresh("cus")) =>
  sendStripe(invoiceEvent({ type, at: await worldNow(), customer, invoice: `in_of_${customer}` }))

test("requests are counted by area, and outlive the isolate in Redis", async () => {
  // The isolate has counts of earlier flows; a new hour has none.
  await advanceClock("PT2H")
  const before = await metrics("?minutes=1")
  for (let index = 0; index < 5; index++) expect((await deliver("invoice.paid")).status).toBe(200)
  for (let index = 0; index < 3; index++) await sendStripe("{}", { signature: "t=1,v1=00" })
  await fetch(`${world().workerUrl}/api/health`)
  await waitUntilProcessed()
  const after = await metrics("?minutes=1")
  expect(after.isPartial).toBe(false)
  expect(after.areas.webhooks.requests - before.areas.webhooks.requests).toBe(5)
  expect(after.areas.webhooks.refused - before.areas.webhooks.refused).toBe(3)
  expect(after.areas.webhooks.errors).toBe(0)
  expect(after.areas.webhooks.meanResponseMs).toBeGreaterThanOrEqual(0)
  expect(after.areas.api.requests).toBeGreaterThan(before.areas.api.requests)
  const { webhooks, api: calls, jobs, links } = after.areas
  expect(after.requests).toBe(webhooks.requests + calls.requests + jobs.requests + links.requests)

  await advanceClock("PT11S") // the next request flushes the counts
  await metrics()
  const [key] = await waitFor(async () => {
    const keys = await redis<string[]>("KEYS", "figures:*")
    return keys.length > 0 && keys
  })
  const seconds = await redis<number>("TTL", key ?? "")
  expect(seconds).toBeGreaterThan(0)
  expect(seconds).toBeLessThanOrEqual(7_200)
})

test("errors are counted while all stores are down, and shown when they are back", async () => {
  await advanceClock("PT2H")
  await metrics("?minutes=1")
  await setFault("redis", "down")
  await setFault("postgres", "down")
  for (let index = 0; index < 3; index++) expect((await api("/api/cases")).status).toBe(503)
  await setFault("postgres", "off")
  const alone = await metrics("?minutes=1")
  expect(alone.isPartial).toBe(true)
  expect(alone.areas.api.errors).toBe(3)
  await setFault("redis", "off")
  const all = await waitFor(async () => {
    const now = await metrics("?minutes=1")
    return !now.isPartial && now
  })
  expect(all.areas.api.errors).toBe(3)
  expect(all.errorRate).toBeCloseTo(3 / all.requests, 6)
})

test("events and nudges are counted over all companies, by outcome", async () => {
  expect(await metrics()).toMatchObject({
    windowMinutes: 15,
    processing: { received: 0, processed: 0, failed: 0, waiting: 0, success: null },
    delivery: { sent: 0, failed: 0, unknown: 0, rate: null },
  })
  const other = fresh("company")
  await addCompany(other)
  for (let index = 0; index < 3; index++) await deliver("invoice.payment_failed")
  const at = await worldNow()
  const strange = invoiceEvent({ type: "invoice.paid", at, customer: fresh("cus"), invoice: fresh("in") })
  expect((await sendStripe(strange, { path: `/api/webhooks/stripe/${other}` })).status).toBe(200)
  await waitUntilProcessed()
  await advanceClock("PT1M")
  const sent = await metrics()
  expect(sent.processing).toEqual({ received: 4, processed: 4, failed: 0, waiting: 0, success: 1 })
  expect(sent.delivery).toEqual({ sent: 3, failed: 0, unknown: 0, rate: 1 })

  // An event unfinished for a minute counts as unprocessed; a new or held one does not.
  const ids = (await sql<{ id: string }>("select id from webhook_events order by received_at")).map(({ id }) => id)
  const minuteAgo = new Date((await worldNow()).getTime() - 61_000)
  const later = new Date((await worldNow()).getTime() + 3_600_000)
  await sql("update webhook_events set status = 'received', next_attempt_at = $2, received_at = $3 where id = $1", [
    ids[0],
    later,
    minuteAgo,
  ])
  await sql("update webhook_events set status = 'received', next_attempt_at = $2, received_at = $3 where id = $1", [
    ids[1],
    later,
    await worldNow(),
  ])
  await sql("update webhook_events set status = 'held', next_attempt_at = $2 where id = $1", [ids[2], later])
  await sql("update nudges set status = 'unknown' where id = (select min(id) from nudges where status = 'sent')")
  const mixed = await metrics()
  expect(mixed.processing).toEqual({ received: 4, processed: 1, failed: 1, waiting: 2, success: 0.5 })
  expect(mixed.delivery).toEqual({ sent: 2, failed: 0, unknown: 1, rate: 2 / 3 })

  await sql("update webhook_events set status = 'processed'")
  await advanceClock("PT30M")
  expect((await metrics()).processing).toMatchObject({ received: 0, success: null })
  expect((await metrics("?minutes=45")).processing).toMatchObject({ received: 4, success: 1 })
})

test("refolds are counted: a late event has the whole ledger folded again, one of the last second only that second", async () => {
  await advanceClock("PT2H")
  const customer = fresh("cus")
  const deliverAt = async (at: Date) => {
    const event = invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice: fresh("in") })
    expect((await sendStripe(event)).status).toBe(200)
    await waitUntilProcessed()
    return (await metrics("?minutes=1")).refolds
  }
  const at = new Date(Math.floor((await worldNow()).getTime() / 1000) * 1000)
  const next = new Date(at.getTime() + 1_000)
  const before = await deliverAt(at)
  expect(await deliverAt(next)).toEqual(before)
  const late = await deliverAt(new Date(at.getTime() - 60_000))
  expect(late.whole - before.whole).toBe(1)
  expect(late.facts - before.facts).toBeGreaterThanOrEqual(3)
  // Facts of one second are ordered by ids that are hashes: of ten in a row some are late.
  for (let index = 0; index < 10; index++) await deliverAt(next)
  const after = await metrics("?minutes=1")
  expect(after.refolds.whole).toBe(late.whole)
  expect(after.refolds.lastSecond).toBeGreaterThan(late.lastSecond)
})

test("are for operators only, and for a valid window", async () => {
  for (const role of ["success-analyst", "success-manager", "admin"] as const) {
    expect((await api("/api/figures", { key: await newApiKey(role) })).status).toBe(403)
  }
  for (const query of ["?minutes=0", "?minutes=61", "?minutes=x", "?minutes=1&minutes=2", "?hours=1"]) {
    expect([query, (await api(`/api/figures${query}`)).status]).toEqual([query, 400])
  }
  expect((await post("/api/figures", "{}", {})).status).toBe(405)
})
