/**
 * Known times: every scored vector can be recomputed from the ledger bit for bit, even if facts arrived late; and models are
 * trained on that ledger.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"
import { beforeEach, expect, test } from "vitest"
import { makeDb } from "../../../db/client.ts"
import { readLedgers } from "../../../db/queries/scoring/ledgers.ts"
import { model } from "../../../ops/model/command.ts"
import { readOffsets } from "../../../ops/model/offsets-file.ts"
import { rankOf } from "../../../shared/domain/facts.ts"
import { type Features, features, type LedgerFact, vectorOf } from "../../../shared/domain/scoring/features.ts"
import { type LoggedEvent, ledgersOf } from "../../../shared/learning/data/event-log.ts"
import { ledgerRows } from "../../../shared/learning/data/ledger-rows.ts"
import { addCompany } from "../../support/actions/companies.ts"
import { failPayment, payInvoice } from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { scoreOf, send, subscriber } from "../../support/models/scoring.ts"
import { advanceClock, reset, sql, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

const database = () =>
  makeDb({
    url: world().vars.DATABASE_URL ?? "",
    fetchEndpoint: world().vars.DATABASE_FETCH_ENDPOINT ?? null,
    timeoutMs: 30_000,
  })

const hoursAgo = async (hours: number): Promise<string> =>
  new Date((await worldNow()).getTime() - hours * 3_600_000).toISOString()

test("every stored vector follows from the ledger for its moment, although facts arrived late", async () => {
  const customerId = await subscriber("cus_known")
  const scoreLater = async () => {
    await waitUntilProcessed()
    await advanceClock("PT2H") // a stored score is used for an hour
    expect((await scoreOf(customerId)).asOf).toBeDefined()
  }
  await scoreLater()

  await failPayment("cus_known", "in_known", { subscription: "sub_of_cus_known" })
  await scoreLater()

  // A chargeback waits under its charge, whose customer is not known yet.
  const dispute = { id: "dp_known", object: "dispute", charge: "ch_known", status: "needs_response", reason: "general" }
  const money = { amount: 1_999, currency: "usd" }
  await sendStripe(envelope("charge.dispute.created", await worldNow(), fresh("evt"), { ...dispute, ...money }))
  const use = (id: string, occurredAt: string, quantity: number) => ({
    ...{ id, customerId: "cus_known", meter: "logins", quantity, occurredAt },
  })
  expect((await send("/api/usage", { records: [use("u1", await hoursAgo(1), 4)] })).status).toBe(200)
  await scoreLater()

  // Old facts, and the customer of the charge.
  expect((await send("/api/usage", { records: [use("u2", await hoursAgo(24 * 20), 9)] })).status).toBe(200)
  const charge = { id: "ch_known", object: "charge", customer: "cus_known", ...money }
  await sendStripe(envelope("charge.updated", await worldNow(), fresh("evt"), charge))
  await scoreLater()
  await payInvoice("cus_known", "in_known")
  await scoreLater()

  const ledger = (await readLedgers(database(), world().companyId, [customerId])).get(customerId) ?? []
  const stored = await sql<{ as_of: Date; vector: Features }>(
    "select as_of, vector from predictions where customer_id = $1 and not is_shadow order by as_of",
    [customerId],
  )
  expect(stored.length).toBeGreaterThanOrEqual(5)
  for (const { as_of, vector } of stored) {
    expect(vectorOf(vector)).toStrictEqual(vectorOf(features(ledger, as_of.toISOString())))
  }
  // They differ: late facts are in the later ones only.
  expect(stored.map(({ vector }) => vector.disputes_365d)).toEqual([0, 0, 0, 1, 1])
  expect(stored.map(({ vector }) => vector.days_since_usage !== null)).toEqual([false, false, true, true, true])
  expect(new Set(stored.map(({ vector }) => JSON.stringify(vector))).size).toBe(stored.length)
}, 300_000)

/** A company of the fixture as events. */
async function companyEvents(tenant: string): Promise<LoggedEvent[]> {
  const path = fileURLToPath(new URL("../../fixtures/learning/simsub/events.csv.gz", import.meta.url))
  const [head = "", ...lines] = gunzipSync(await readFile(path))
    .toString()
    .trimEnd()
    .split("\n")
  const names = head.split(",")
  return lines.flatMap((line): LoggedEvent[] => {
    const fields = new Map(line.split(",").map((field, i) => [names[i] ?? "", field]))
    if (fields.get("tenant") !== tenant) return []
    const word = (name: string) => fields.get(name) || undefined
    const number = (name: string) => (word(name) === undefined ? undefined : Number(word(name)))
    const [plan, interval, sentiment] = [word("plan"), word("interval"), word("sentiment")]
    const [amount, attempt, count] = [number("amount"), number("attempt"), number("count")]
    return [
      {
        ...{ id: word("event_id") ?? "", customer: word("customer_id") ?? "", type: word("type") ?? "" },
        ...{ occurredAtMs: Number(word("occurred_at")) * 1_000, receivedAtMs: Number(word("received_at")) * 1_000 },
        ...(plan !== undefined && { plan }),
        ...(interval !== undefined && { interval }),
        ...(sentiment !== undefined && { sentiment }),
        ...(amount !== undefined && { amount }),
        ...(attempt !== undefined && { attempt }),
        ...(count !== undefined && { count }),
      },
    ]
  })
}

/** Inserts ledgers as webhooks would have done. */
async function writeLedgers(ledgers: ReadonlyMap<string, readonly LedgerFact[]>): Promise<void> {
  await sql(
    `insert into customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
     select $1, 'stripe_' || c, 'stripe', c, now(), now() from unnest($2::text[]) as c`,
    [world().companyId, [...ledgers.keys()]],
  )
  const rows = [...ledgers].flatMap(([subject, ledger]) =>
    ledger.map(({ id, occurredAt, knownAt, ...body }) => ({
      id,
      subject,
      occurredAt,
      knownAt,
      rank: rankOf(body.kind),
      body,
    })),
  )
  await sql(
    `insert into facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
     select $1, r ->> 'id', 'stripe', r ->> 'subject', r -> 'body' ->> 'kind', (r ->> 'rank')::smallint,
       (r ->> 'occurredAt')::timestamptz, (r ->> 'occurredAt')::timestamptz, (r ->> 'knownAt')::timestamptz, r -> 'body'
     from jsonb_array_elements($2::jsonb) as r`,
    [world().companyId, JSON.stringify(rows)],
  )
}

test("a model is trained on the product's ledger, read in pages, with each customer's label", async () => {
  const { ledgers } = ledgersOf(await companyEvents("t06"), { monthDays: 30 })
  await writeLedgers(ledgers)
  const now = Date.parse("2026-06-01T00:00:00.000Z")

  // What is read equals what was written, bit for bit.
  const [name = "", ledger = []] = [...ledgers][0] ?? []
  const read = (await readLedgers(database(), world().companyId, [`stripe_${name}`])).get(`stripe_${name}`) ?? []
  expect(ledgerRows(read, now)).toStrictEqual(ledgerRows(ledger, now))

  const folder = await mkdtemp(join(tmpdir(), "churn-saver-ledger-"))
  const before = process.env.DATABASE_FETCH_ENDPOINT
  process.env.DATABASE_FETCH_ENDPOINT = world().vars.DATABASE_FETCH_ENDPOINT
  try {
    let [out, remarks] = ["", ""]
    await model(
      [
        ...[
          "train",
          "--from-ledger",
          "--company",
          world().companyId,
          "--database-url",
          world().vars.DATABASE_URL ?? "",
        ],
        ...["--now", new Date(now).toISOString(), "--kind", "gam", "--out", join(folder, "model.json"), "--json"],
      ],
      {
        out: (text) => {
          out += text
        },
        err: (text) => {
          remarks += text
        },
        progress: () => {},
      },
    )
    const expected = [...ledgers.values()].flatMap((each) => ledgerRows(each, now))
    const trained = JSON.parse(out)
    expect(trained.rows).toBe(expected.length)
    expect(trained.events).toBe(expected.filter(({ label }) => label.isChurned).length)
    expect(trained.notes["left: payment_failure"] + trained.notes["left: voluntary"]).toBe(trained.events)
    expect(remarks).not.toContain("Leak?")
    expect(trained.metrics.auc).toBeGreaterThan(0.55)
    expect(await readFile(join(folder, "model.json"), "utf8")).not.toContain(world().companyId)
    expect(await readdir(folder)).toEqual(["model.json"])

    // For several companies: one model without company names, and an offset for each.
    await addCompany("twin")
    for (const statement of [
      `insert into customers (company_id, id, provider, provider_customer_id, created_at, updated_at)
       select 'twin', id, provider, provider_customer_id, created_at, updated_at from customers where company_id = $1`,
      `insert into facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
       select 'twin', id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body from facts where company_id = $1`,
    ]) {
      await sql(statement, [world().companyId])
    }
    const path = join(folder, "shared.json")
    const quiet = { out: () => {}, err: () => {}, progress: () => {} }
    await model(
      [
        ...["train", "--from-ledger", world().vars.DATABASE_URL ?? "", "--all", "--now", new Date(now).toISOString()],
        ...["--kind", "gam", "--out", path],
      ],
      quiet,
    )
    const text = await readFile(path, "utf8")
    expect(text).not.toMatch(new RegExp(`twin|${world().companyId}`))
    const { offsets = [] } = (await readOffsets(path, text)) ?? {}
    expect(offsets.map(({ company }) => company)).toEqual([world().companyId, "twin"].sort())
    // Both companies have the same customers, so the same offset.
    expect(offsets[0]?.logOdds).toBeCloseTo(offsets[1]?.logOdds ?? Number.NaN, 6)
    expect(offsets[0]?.rows).toBe(offsets[1]?.rows)
  } finally {
    if (before === undefined) delete process.env.DATABASE_FETCH_ENDPOINT
    else process.env.DATABASE_FETCH_ENDPOINT = before
    await rm(folder, { recursive: true, force: true })
  }
}, 600_000)
