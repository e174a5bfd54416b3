/**
 * How many rows the look-ups of a webhook read: few, however many the tables hold, with statistics and without, and by plans that
 * were made while the tables were empty. Sessions of the Worker keep their plans.
 */
import { sql } from "drizzle-orm"
import { expect, test } from "vitest"
import type { Fact } from "../../../shared/domain/facts.ts"
import { fold } from "../../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { EMPTY_STATE } from "../../../shared/domain/state.ts"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { fillTables, ROWS_AT, type RowRange, rowsRead } from "../../../test/support/many-rows.ts"
import { inCompany } from "../../client.ts"
import { commitStreams } from "./commit.ts"
import { loadStream, type NewEvent, recordDeliveries } from "./stream.ts"

const database = useDatabase()
const { db, rows } = database
const readSoFar = () => rowsRead(database)
const fill = (range: RowRange) => fillTables(database, range)

const AT = ROWS_AT
const later = (seconds: number) => new Date(AT.getTime() + seconds * 1000).toISOString()

/** Two events in one call: about a known customer with a new invoice, and about an object that is linked to that customer. */
function events(n: number): NewEvent[] {
  const at = later(n)
  const common: Omit<NewEvent, "id" | "providerEventId" | "customer" | "objects" | "facts"> = {
    ...{
      companyId: TEST_COMPANY,
      provider: "stripe",
      account: null,
      type: "invoice.paid",
      apiVersion: null,
      error: null,
    },
    ...{ status: "received", occurredAt: at, receivedAt: at, knownAt: at, nextAttemptAt: later(n + 60) },
    ...{ customerEventsMax: 1_000, sealedPayload: new Uint8Array(500) },
  }
  const id = (kind: number) => `${String(kind).padStart(8, "0")}-0000-4000-8000-${String(n).padStart(12, "0")}`
  return [
    {
      ...common,
      ...{ id: id(1), providerEventId: `evt_${n}`, customer: "cus_1", objects: ["in_1", `in_${n}`] },
      facts: [failed(`fact ${n}`, at, `in_${n}`)],
    },
    {
      ...common,
      id: id(2),
      providerEventId: `evt_o_${n}`,
      customer: null,
      objects: ["in_1"],
      facts: [failed(`o ${n}`, at)],
    },
  ]
}

const failed = (id: string, occurredAt: string, invoiceId = "in_1"): Fact => ({
  ...{ kind: "payment_failed", id, occurredAt, invoiceId, subscriptionId: null, paymentIntentId: null, chargeId: null },
  ...{ amountMinor: 4_900, currency: "usd", declineCode: null, attempt: 1, nextAttemptAt: null, isFirstInvoice: false },
})

const nudge = (n: number): Nudge => ({
  ...{ id: `nudge ${n}`, caseId: `payment_in_${n}`, step: 0, channel: "email", status: "planned", reason: null },
  ...{ incentive: null, dueAt: later(n), attempts: 0, sentAt: null },
})

/** Records, folds and commits two events, and reads the whole customer. */
async function process(n: number): Promise<void> {
  const given = events(n)
  const [recorded] = await recordDeliveries(db, TEST_COMPANY, given)
  const stream = recorded?.stream
  if (!stream) throw new Error("the event has no stream")
  const { id: customerId, provider, providerCustomerId, version } = stream.customer
  const commits = [
    {
      key: { companyId: TEST_COMPANY, customerId, provider, providerCustomerId },
      expectedVersion: version,
      now: later(n),
      state: fold(stream.facts, stream.isWhole ? EMPTY_STATE : (stream.snapshot ?? EMPTY_STATE)),
      projected: stream.snapshot ?? EMPTY_STATE,
      dropped: [],
      facts: [],
      nudges: [{ kind: "plan" as const, nudge: nudge(n) }],
      contact: null,
      processedEvents: given.map(({ id, receivedAt }) => ({ id, receivedAt })),
    },
  ]
  const { lost } = await commitStreams(db, TEST_COMPANY, commits, later(n))
  expect(lost.size).toBe(0)
  await loadStream(db, TEST_COMPANY, customerId, { whole: true })
}

const READ_FROM = "customers, object_links, facts, webhook_events, webhook_event_keys, nudges"

/** More than the rows of one customer, and fewer than those of the company. */
const READ_MAX = 200

/** Facts of a page. */
const PAGE = 2_000
const LONG_LEDGER = 10 * PAGE

/** How many rows a webhook reads after these were added, by the plans that the session has, by new ones, and after ANALYZE. */
async function readsAfter(added: { readonly from: number; readonly to: number }): Promise<number[]> {
  // Often enough that Postgres would keep a plan for all parameters.
  let n = added.from
  for (; n < added.from + 7; n++) await process(n)
  await fill(added)
  const reads: number[] = []
  for (const change of [null, "DISCARD PLANS", `ANALYZE ${READ_FROM}`]) {
    if (change !== null) await rows(change)
    const before = await readSoFar()
    await process(n++)
    reads.push((await readSoFar()) - before)
  }
  return reads
}

test("webhooks read the few rows that they are about, by plans made for empty tables, by new plans, with and without statistics", async () => {
  for (const read of await readsAfter({ from: 1, to: 1_000 })) expect(read).toBeLessThan(READ_MAX)
})

test("the same with a million facts, by plans made for the statistics of few", { timeout: 120_000 }, async () => {
  await fill({ from: 1, to: 100 })
  await rows(`ANALYZE ${READ_FROM}`)
  for (const read of await readsAfter({ from: 101, to: 1_000_100 })) expect(read).toBeLessThan(READ_MAX)
})

test("a page of a long ledger is read without the rest, by old plans and by new ones", async () => {
  await rows(
    `INSERT INTO customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
     VALUES ($1, 'stripe_long', 'stripe', 'long', $2, $2)`,
    [TEST_COMPANY, AT],
  )
  const readPage = async () => {
    const [result] = await inCompany(db, TEST_COMPANY, [
      db.execute<{ facts: number }>(sql`
        select json_array_length(read_facts('stripe_long', 0, true, null) -> 'facts') as facts`),
    ])
    return result.rows[0]?.facts
  }
  for (let plans = 0; plans < 7; plans++) await readPage()
  await rows(
    `INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
     SELECT $1, 'long ' || n, 'stripe', 'long', 'opted_out', 70, $2::timestamptz - n * interval '1 second', $2, $2, '{}'
     FROM generate_series(1, ${LONG_LEDGER}) AS n`,
    [TEST_COMPANY, AT],
  )
  for (const change of [null, "DISCARD PLANS", `ANALYZE ${READ_FROM}`]) {
    if (change !== null) await rows(change)
    const before = await readSoFar()
    expect(await readPage()).toBe(PAGE)
    expect((await readSoFar()) - before).toBeLessThan(PAGE + READ_MAX)
  }
})
