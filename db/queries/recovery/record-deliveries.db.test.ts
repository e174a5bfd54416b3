import fc from "fast-check"
import { expect, test } from "vitest"
import type { Fact } from "../../../shared/domain/facts.ts"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { readCustomer } from "./customers.ts"
import { releaseQuarantine } from "./quarantines.ts"
import { loadStream, type NewEvent, recordDeliveries, recordDelivery } from "./stream.ts"

const { db, rows, addCompany } = useDatabase()

const AT = "2026-10-05T12:00:00.000Z"

const failed = (n: number): Fact => ({
  kind: "payment_failed",
  id: `fact ${n}`,
  occurredAt: AT,
  invoiceId: `in_${n}`,
  subscriptionId: null,
  paymentIntentId: null,
  chargeId: null,
  amountMinor: 4_900,
  currency: "usd",
  declineCode: null,
  attempt: 1,
  nextAttemptAt: null,
  isFirstInvoice: false,
})

const event = (n: number, more: Partial<NewEvent> = {}): NewEvent => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  companyId: TEST_COMPANY,
  provider: "stripe",
  account: null,
  providerEventId: `evt_${n}`,
  type: "invoice.payment_failed",
  apiVersion: null,
  status: "received",
  error: null,
  occurredAt: AT,
  receivedAt: AT,
  knownAt: AT,
  nextAttemptAt: "2026-10-05T12:01:00.000Z",
  customer: "cus_1",
  objects: [`in_${n}`],
  facts: [failed(n)],
  customerEventsMax: 1_000,
  sealedPayload: new Uint8Array([1, 2, 3]),
  ...more,
})

const count = async (table: "facts" | "webhook_events"): Promise<number> => {
  const [row] = await rows<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)
  return row?.n ?? 0
}

test("an event is recorded once with its facts, and a repeated one changes nothing", async () => {
  const first = await recordDelivery(db, event(1))
  expect(first).toMatchObject({ isNew: true, setAside: null })
  expect(first.stream?.facts.map(({ id }) => id)).toEqual(["fact 1"])
  expect(await recordDelivery(db, event(1))).toEqual({ isNew: false, setAside: null, stream: null })
  expect([await count("webhook_events"), await count("facts")]).toEqual([1, 1])
})

test("the stream holds what earlier events of the customer brought, and nothing of other companies", async () => {
  await addCompany("other")
  await recordDelivery(db, event(1, { companyId: "other" }))
  await recordDelivery(db, event(2))
  const { stream } = await recordDelivery(db, event(3))
  expect(stream?.facts.map(({ id }) => id).sort()).toEqual(["fact 2", "fact 3"])
})

test("facts without a customer wait under their object, and come with the event that names the customer", async () => {
  const early = await recordDelivery(db, event(1, { customer: null, objects: ["in_7"] }))
  expect(early).toMatchObject({ isNew: true, stream: null })
  const { stream } = await recordDelivery(db, event(2, { objects: ["in_7"] }))
  expect(stream?.facts.map(({ id }) => id).sort()).toEqual(["fact 1", "fact 2"])
})

test("more events than a customer may have in an hour are kept and not processed; the customer is in quarantine", async () => {
  const limited = { customerEventsMax: 2 }
  await recordDelivery(db, event(1, limited))
  const second = await recordDelivery(db, event(2, limited))
  const third = await recordDelivery(db, event(3, limited))
  expect(second.setAside).toBeNull()
  expect(third).toMatchObject({ isNew: true, setAside: "customer_flood", stream: null })
  expect(await rows("SELECT status, error FROM webhook_events WHERE provider_event_id = 'evt_3'")).toEqual([
    { status: "dead", error: "customer_flood" },
  ])
  expect(await count("facts")).toBe(2)
  const customerId = second.stream?.customer.id ?? ""
  expect((await readCustomer(db, TEST_COMPANY, customerId))?.quarantine).toMatchObject({ reason: "customer_flood" })
  expect(await releaseQuarantine(db, TEST_COMPANY, customerId, new Date(AT))).toBe(true)
  expect(await releaseQuarantine(db, TEST_COMPANY, customerId, new Date(AT))).toBe(false)
})

test("another customer is not limited by it", async () => {
  const limited = { customerEventsMax: 1 }
  await recordDelivery(db, event(1, limited))
  expect((await recordDelivery(db, event(2, { ...limited, customer: "cus_2" }))).setAside).toBeNull()
})

test("a Worker of the version before records through the function of that version", async () => {
  const delivery = {
    ...event(1),
    eventId: event(1).id,
    account: "",
    facts: [{ id: "fact 1", occurredAt: AT, rank: 31, body: { kind: "payment_failed" } }],
  }
  const record = "SELECT record_delivery($1, '\\x01') AS outcome"
  const [first] = await rows<{ outcome: { stream: { customer: object } } }>(record, [JSON.stringify(delivery)])
  expect(first?.outcome).toMatchObject({ isNew: true, stream: { customer: { id: "stripe_cus_1" } } })
  expect(await rows(record, [JSON.stringify(delivery)])).toEqual([{ outcome: { isNew: false } }])
})

const factsOf = (recorded: Awaited<ReturnType<typeof recordDelivery>> | undefined) =>
  recorded?.stream?.facts.map(({ id }) => id).sort()

test("two events of a customer that are recorded together have one stream, which holds the facts of both", async () => {
  const [first, second, third] = await recordDeliveries(db, TEST_COMPANY, [
    event(1),
    event(2, { customer: "cus_2" }),
    event(3),
  ])
  expect([first, second, third].map((one) => one?.isNew)).toEqual([true, true, true])
  expect(first?.stream).toBe(third?.stream)
  expect(factsOf(first)).toEqual(["fact 1", "fact 3"])
  expect(factsOf(second)).toEqual(["fact 2"])
})

test("an event that comes twice in one call is new once", async () => {
  const twice = await recordDeliveries(db, TEST_COMPANY, [event(1), event(2), event(1)])
  expect(twice.map(({ isNew }) => isNew)).toEqual([true, true, false])
  expect(twice.map(({ stream }) => stream !== null)).toEqual([true, true, false])
  expect([await count("webhook_events"), await count("facts")]).toEqual([2, 2])
  const again = await recordDeliveries(db, TEST_COMPANY, [event(2), event(3)])
  expect(again.map(({ isNew }) => isNew)).toEqual([false, true])
})

test("an event without a customer is the customer's whom another event of the call names, in both orders", async () => {
  const names = event(1, { objects: ["in_7", "ch_7"] })
  const waits = event(2, { customer: null, objects: ["ch_7"] })
  await recordDeliveries(db, TEST_COMPANY, [waits, names])
  await recordDeliveries(db, TEST_COMPANY, [
    event(3, { objects: ["in_8", "ch_8"] }),
    event(4, { customer: null, objects: ["ch_8"] }),
  ])
  const stream = await loadStream(db, TEST_COMPANY, "stripe_cus_1", { whole: true })
  expect(stream?.facts.map(({ id }) => id).sort()).toEqual(["fact 1", "fact 2", "fact 3", "fact 4"])
})

test("the limit of a customer's events counts those of one call one by one; others are not limited", async () => {
  const limited = { customerEventsMax: 2 }
  const recorded = await recordDeliveries(db, TEST_COMPANY, [
    event(1, limited),
    event(2, limited),
    event(3, { ...limited, customer: "cus_2" }),
    event(4, limited),
  ])
  expect(recorded.map(({ setAside }) => setAside)).toEqual([null, null, null, "customer_flood"])
  expect(factsOf(recorded[0])).toEqual(["fact 1", "fact 2"])
  expect(recorded[3]?.stream).toBeNull()
  expect(await rows("SELECT id FROM facts WHERE id = 'fact 4'")).toEqual([])
})

test("text that Postgres cannot store is replaced, and the event is recorded", async () => {
  const [recorded] = await recordDeliveries(db, TEST_COMPANY, [
    event(1, { type: "odd\u0000type", objects: ["in_\ud800"] }),
  ])
  expect(recorded?.isNew).toBe(true)
  expect(await rows("SELECT type FROM webhook_events")).toEqual([{ type: "odd\ufffdtype" }])
})

/** Objects that belong to two customers, of which an event names some, with or without the customer. */
const anyEvent = fc.record({
  owner: fc.constantFrom(1, 2),
  isNamed: fc.boolean(),
  objects: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  status: fc.constantFrom("received" as const, "unhandled" as const),
})

test("events that are recorded together end as when they are recorded one by one", async () => {
  let companies = 0
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent, { maxLength: 8 }), fc.integer({ min: 1, max: 4 }), async (drawn, size) => {
      const made = (companyId: string) =>
        drawn.map(({ owner, isNamed, objects, status }, place) => {
          const own = objects.map((n) => `in_${owner}_${n}`)
          const more = { companyId, status, facts: status === "received" ? [failed(place)] : [] }
          return event(place, { ...more, customer: isNamed ? `cus_${owner}` : null, objects: own })
        })
      const ended = async (companyId: string) => ({
        facts: await rows(
          `SELECT f.id, coalesce(l.root_id, f.subject) AS root FROM facts f LEFT JOIN object_links l
            ON l.company_id = f.company_id AND l.object_id = f.subject WHERE f.company_id = $1 ORDER BY 1`,
          [companyId],
        ),
        links: await rows(
          `SELECT object_id, CASE WHEN is_customer THEN root_id END AS root FROM object_links
            WHERE company_id = $1 ORDER BY 1`,
          [companyId],
        ),
        events: await rows("SELECT id FROM webhook_events WHERE company_id = $1 ORDER BY 1", [companyId]),
      })
      const [one, many] = [`one_${companies}`, `many_${companies++}`]
      await addCompany(one)
      await addCompany(many)
      for (const single of made(one)) await recordDelivery(db, single)
      for (let start = 0; start < drawn.length; start += size) {
        await recordDeliveries(db, many, made(many).slice(start, start + size))
      }
      expect(await ended(many)).toEqual(await ended(one))
    }),
    { numRuns: 40 },
  )
})
