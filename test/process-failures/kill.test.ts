/**
 * `kill -9` of the Worker and of Postgres in the middle of 5 000 webhooks. The provider retries only what was not
 * answered 200. Nothing is lost, no message is sent twice.
 */
import { afterAll, beforeAll, expect, test } from "vitest"
import { envelope, invoiceEvent } from "../support/events/providers.ts"
import { type OwnWorld, type ProviderEvent, startOwnWorld } from "../support/own-world.ts"

const CUSTOMERS = 1_250
const EVENTS_EACH = 4
/** Every fiftieth customer never pays, and gets exactly one message. */
const UNPAID_EVERY = 50
const CONCURRENCY = 24
/** A killed process restarts within seconds; the provider retries for longer. */
const PAUSE_MS = 250
const TRIES_MAX = 240

let world: OwnWorld
beforeAll(async () => {
  world = await startOwnWorld()
})
afterAll(() => world.stop())

const isUnpaid = (customer: number): boolean => customer % UNPAID_EVERY === 0

/** A renewal that fails twice, reported by charge and invoice, and then is paid or fails a third time. */
function eventsOf(customer: number, now: Date): readonly ProviderEvent[] {
  const tag = `k${customer.toString().padStart(5, "0")}`
  const at = (secondsAgo: number) => new Date(now.getTime() - secondsAgo * 1_000)
  const bill = { customer: `cus_${tag}`, invoice: `in_${tag}`, subscription: `sub_${tag}` }
  const events = [
    invoiceEvent({ ...bill, type: "invoice.payment_failed", at: at(400), id: `evt_${tag}_0` }),
    envelope("charge.failed", at(399), `evt_${tag}_1`, {
      ...{ id: `ch_${tag}`, object: "charge", customer: bill.customer, invoice: bill.invoice, amount: 1_999 },
      ...{ currency: "usd", failure_code: "card_declined", outcome: { reason: "insufficient_funds" } },
    }),
    invoiceEvent({ ...bill, type: "invoice.payment_failed", at: at(300), id: `evt_${tag}_2`, attempt: 2 }),
    isUnpaid(customer)
      ? invoiceEvent({ ...bill, type: "invoice.payment_failed", at: at(200), id: `evt_${tag}_3`, attempt: 3 })
      : invoiceEvent({ ...bill, type: "invoice.paid", at: at(200), id: `evt_${tag}_3` }),
  ]
  return events.map((event) => ({ provider: "stripe", id: event.id, body: JSON.stringify(event) }))
}

/** Sends until the answer is 200; returns the number of attempts. */
async function deliver(event: ProviderEvent): Promise<number> {
  for (let tries = 1; tries <= TRIES_MAX; tries++) {
    if ((await world.deliver(event)) === 200) return tries
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  throw new Error(`${event.id} was never accepted`)
}

test("5 000 webhooks through three kills: each is in the ledger once, and each member gets one message", async () => {
  const now = world.clock.now()
  // Events of customers are interleaved, so that a kill interrupts many of them midway.
  const perCustomer = Array.from({ length: CUSTOMERS }, (_, customer) => eventsOf(customer, now))
  const events = Array.from({ length: EVENTS_EACH }, (_, turn) => perCustomer.map((events) => events[turn]))
    .flat()
    .filter((event) => event !== undefined)
  expect(events).toHaveLength(5_000)

  const kill = (pids: readonly number[]): void => {
    for (const pid of pids) process.kill(pid, "SIGKILL")
  }
  const kills = new Map<number, () => void>([
    [900, () => kill(world.worker().pids)],
    [2_400, () => kill([world.postgres().pid])],
    [3_900, () => kill([...world.worker().pids, world.postgres().pid])],
  ])
  let next = 0
  let retries = 0
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < events.length) {
        const index = next++
        kills.get(index)?.()
        const event = events[index]
        if (event) retries += (await deliver(event)) - 1
      }
    }),
  )
  // Without retries the kills would have interrupted nothing.
  expect(retries).toBeGreaterThan(0)

  // `sweep` folds what was acknowledged and not folded; the fallback queue delivers what it holds.
  for (let minutes = 0; minutes < 60; minutes += 5) {
    await world.advance("PT5M")
    const [unfinished] = await world.sql<{ count: number }>(
      "select (5000 - count(*) filter (where status = 'processed'))::int as count from webhook_events",
    )
    if (unfinished?.count === 0) break
  }
  await world.advance("PT15M")

  const [counts] = await world.sql(`select
    (select count(*)::int from webhook_event_keys) as keys,
    (select count(*)::int from webhook_events where status = 'processed') as processed,
    (select count(*)::int from webhook_events) as events,
    (select count(*)::int from facts where kind = 'payment_failed' and event_id is not null) as failures,
    (select count(*)::int from recovery_cases where status = 'recovered') as recovered,
    (select count(*)::int from recovery_cases where status = 'open') as open`)
  const unpaid = CUSTOMERS / UNPAID_EVERY
  expect(counts).toEqual({
    ...{ keys: 5_000, processed: 5_000, events: 5_000 },
    failures: CUSTOMERS * 3 + unpaid,
    ...{ recovered: CUSTOMERS - unpaid, open: unpaid },
  })

  const messages = world.mailbox.messages.filter(({ channel }) => channel === "email")
  const perMember = Map.groupBy(messages, ({ to }) => to)
  expect([...perMember.values()].filter((seen) => seen.length > 1)).toEqual([])
  // Who still owes got a message, unless the worker was killed while sending: then it is `unknown` and not re-sent.
  const unsent = await world.sql<{ status: string }>(
    `select n.status from recovery_cases c left join nudges n on n.case_id = c.id and n.step = 0
     where c.status = 'open' and n.status is distinct from 'sent'`,
  )
  expect(unsent.map(({ status }) => status).filter((status) => status !== "unknown")).toEqual([])
  const reached = Array.from({ length: CUSTOMERS }, (_, customer) => customer)
    .filter(isUnpaid)
    .filter((customer) => perMember.has(`cus_k${customer.toString().padStart(5, "0")}@example.com`))
  expect(reached.length + unsent.length).toBeGreaterThanOrEqual(unpaid)
})
