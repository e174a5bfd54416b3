/** Deliveries that arrive together are recorded and committed in groups: each is acknowledged once, and the ledger is exact. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { fresh, invoiceEvent, sendStripe, stripeSignature } from "../../support/events/providers.ts"
import {
  advanceClock,
  control,
  reset,
  settle,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(() => sql("drop function if exists refuse_poison cascade"))

const BURST = 200

type InvoiceEvent = ReturnType<typeof invoiceEvent>

/** Failures of so many members, each followed by the invoice's final state: two events of one member in a burst. */
async function burstOf(events: number): Promise<readonly InvoiceEvent[]> {
  const at = await worldNow()
  return Array.from({ length: events / 2 }, () => ({ customer: fresh("cus"), invoice: fresh("in") })).flatMap(
    (member) => [
      invoiceEvent({ type: "invoice.finalized", at: new Date(at.getTime() - 60_000), ...member }),
      invoiceEvent({ type: "invoice.payment_failed", at, ...member }),
    ],
  )
}

const countOf = async (query: string): Promise<number> =>
  Number((await sql<{ count: string }>(`select count(*) as count from ${query}`))[0]?.count)

/** Every event is stored once with its facts, and every member has one open case. */
async function expectExactLedger(events: number): Promise<void> {
  await waitUntilProcessed()
  expect(await countOf("webhook_events")).toBe(events)
  expect(await countOf("webhook_events where status = 'processed'")).toBe(events)
  expect(await countOf("webhook_event_keys")).toBe(events)
  expect(await countOf("facts where kind = 'payment_failed'")).toBe(events / 2)
  expect(await countOf("recovery_cases where status = 'open'")).toBe(events / 2)
  expect(await countOf("(select 1 from nudges where step = 0 group by case_id having count(*) > 1) doubled")).toBe(0)
}

test("a burst is acknowledged event by event, in far fewer round trips than events", async () => {
  // Caches and connections are warm.
  await sendStripe(
    invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer: fresh("cus"), invoice: fresh("in") }),
  )
  await waitUntilProcessed()
  await control("POST", "/reset")
  const events = await burstOf(BURST)
  await settle()
  await control("DELETE", "/stats")
  const answers = await Promise.all(events.map((event) => sendStripe(event)))
  expect(answers.map(({ status, body }) => [status, body.duplicate])).toEqual(answers.map(() => [200, false]))
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(BURST)
  await expectExactLedger(BURST)
  // One by one there would be two for each.
  expect((await stats()).postgres).toBeLessThan(BURST)

  const again = await Promise.all(events.map((event) => sendStripe(event)))
  expect(again.map(({ status, body }) => [status, body.duplicate])).toEqual(again.map(() => [200, true]))
  await expectExactLedger(BURST)
})

test("the same events many times at once are recorded once", async () => {
  const events = await burstOf(20)
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => events)
      .flat()
      .map((event) => sendStripe(event)),
  )
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(20)
  await expectExactLedger(20)
})

test("an event that Postgres refuses fails alone", async () => {
  await sql(`create or replace function refuse_poison() returns trigger language plpgsql as
    $$ begin if new.provider_event_id = 'evt_poison' then raise exception 'refused'; end if; return new; end $$`)
  await sql(
    "create trigger refuse_poison before insert on webhook_events for each row execute function refuse_poison()",
  )
  const at = await worldNow()
  const poison = invoiceEvent({
    type: "invoice.paid",
    id: "evt_poison",
    at,
    customer: fresh("cus"),
    invoice: fresh("in"),
  })
  const events = await burstOf(40)
  const answers = await Promise.all(
    [...events.slice(0, 20), poison, ...events.slice(20)].map((event) => sendStripe(event)),
  )
  // The refused one waits in the fallback queue.
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  await expectExactLedger(40)
  await sql("drop trigger refuse_poison on webhook_events")
  await advanceClock("PT10M")
  await waitFor(async () => (await countOf("webhook_events where provider_event_id = 'evt_poison'")) === 1)
})

test("senders that disconnect in a burst lose nothing that was acknowledged, and send the rest again", async () => {
  const events = await burstOf(BURST)
  const timestamp = Math.floor((await worldNow()).getTime() / 1000)
  const acknowledged = await Promise.all(
    events.map(async (event, index) => {
      const body = JSON.stringify(event)
      const headers = { "stripe-signature": await stripeSignature(body, timestamp) }
      // Every second sender stops waiting at some moment between its request and its answer.
      const signal = index % 2 === 0 ? AbortSignal.timeout(1 + (index % 40)) : null
      try {
        const response = await fetch(`${world().workerUrl}/api/webhooks/stripe`, {
          method: "POST",
          body,
          headers,
          signal,
        })
        await response.arrayBuffer()
        return response.status === 200
      } catch {
        return false
      }
    }),
  )
  expect(acknowledged.filter((_, index) => index % 2 === 1).every(Boolean)).toBe(true)
  const again = await Promise.all(events.filter((_, index) => !acknowledged[index]).map((event) => sendStripe(event)))
  expect(again.every(({ status }) => status === 200)).toBe(true)
  await expectExactLedger(BURST)
})
