/** How many rows the pages of the dashboard read: few, or a bounded number, of a million facts and ten thousand open cases. */
import { beforeEach, describe, expect, test } from "vitest"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { fillTables, ROWS_AT, rowsRead, withoutForeignKeys } from "../../../test/support/many-rows.ts"
import { COUNTED_MAX, readOverview } from "../operations/overview.ts"
import { SEARCHED_MAX } from "../platform/page.ts"
import { listEvents } from "../webhooks/events.ts"
import { listCases, readCase } from "./cases.ts"
import { listCustomers } from "./customers.ts"
import { listNudges } from "./nudge-list.ts"

const database = useDatabase()
const { db, rows } = database

const FACTS = 1_000_000
const CASES = 100_000
const OPEN_CASES = 10_000
const CUSTOMERS = FACTS / 20
const MESSAGES = FACTS / 10
const CLICKS = CASES / 10

const FIRST = { limit: 50, after: null }
const AFTER = (id: string) => ({ limit: 50, after: { at: new Date(ROWS_AT.getTime() + 50_000), id } })
/** All amounts are equal. */
const AFTER_AMOUNT = { limit: 50, after: { at: 4_900, id: "payment_in_95000" } }

/** Of each row of a page: its entry in the index of the list, and those of what is shown beside it. */
const READ_MAX = 800

/** Cases of a page that searches, each with its entry in the index. */
const SEARCH_READ_MAX = 2 * SEARCHED_MAX + READ_MAX

/** Of the overview: the newest cases, those that are open, the messages and clicks, and scores until enough have no open case. */
const OVERVIEW_READ_MAX = COUNTED_MAX + MESSAGES + CLICKS + 5 * OPEN_CASES

/** Cases of the fill's customers, the last of them open, scores of all, and clicks on some links. */
const fillCases = () =>
  withoutForeignKeys(database, async () => {
    await rows(
      `INSERT INTO recovery_cases (company_id, id, customer_id, provider, kind, status, subscription_id, invoice_id,
        amount_minor, recovered_minor, currency, decline_code, failure_count, opened_at, closed_at)
      SELECT $1, 'payment_in_' || n, 'stripe_other_' || (n % $4::int) * 20 + 1, 'stripe', 'payment',
        CASE WHEN n > $3::int - $5::int THEN 'open' WHEN n % 3 = 0 THEN 'recovered' ELSE 'lost' END,
        'sub_' || n % $4::int, 'in_' || n, 4900, CASE WHEN n % 3 = 0 THEN 4900 ELSE 0 END, 'usd',
        CASE WHEN n = 7 THEN 'rare_code' ELSE 'insufficient_funds' END, 1, $2::timestamptz + n * interval '1 ms',
        CASE WHEN n <= $3::int - $5::int THEN $2::timestamptz + n * interval '2 ms' END
      FROM generate_series(1, $3::int) AS n`,
      [TEST_COMPANY, ROWS_AT, CASES, CUSTOMERS, OPEN_CASES],
    )
    await rows(
      `INSERT INTO customer_scores (company_id, customer_id, prediction_id, as_of, source, model_version, probability, low,
        high, log_odds, base_rate, risk_level, coverage, confidence, parts)
      SELECT $1, 'stripe_other_' || n * 20 + 1, gen_random_uuid(), $2::timestamptz, 'rules', '1', n::float8 / $3::int, 0, 1, 0,
        0.1, CASE WHEN n = 7 THEN 'critical' ELSE 'low' END, 1, 1, '[]' FROM generate_series(0, $3::int - 1) AS n`,
      [TEST_COMPANY, ROWS_AT, CUSTOMERS],
    )
    await rows(
      `INSERT INTO facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, body)
      SELECT $1, 'click ' || n, 'stripe', 'other_' || n, 'link_clicked', 50, $2::timestamptz + n * interval '1 ms', $2,
        jsonb_build_object('caseId', 'payment_in_' || n) FROM generate_series(1, $3::int, 10) AS n`,
      [TEST_COMPANY, ROWS_AT, CASES],
    )
  })

const overview = () =>
  readOverview(db, TEST_COMPANY, { from: new Date(ROWS_AT.getTime() - 1), scoredSince: ROWS_AT, limit: 200 })

/** Pages that read what they show. */
const PAGES: Readonly<Record<string, () => Promise<unknown>>> = {
  cases: () => listCases(db, TEST_COMPANY, {}, FIRST),
  "cases, a later page": () => listCases(db, TEST_COMPANY, {}, AFTER("payment_in_50000")),
  "open cases": () => listCases(db, TEST_COMPANY, { status: "open" }, FIRST),
  "the oldest cases": () => listCases(db, TEST_COMPANY, { sort: "oldest" }, FIRST),
  "the oldest open cases": () => listCases(db, TEST_COMPANY, { status: "open", sort: "oldest" }, FIRST),
  "open cases by amount": () => listCases(db, TEST_COMPANY, { status: "open", sort: "amount" }, FIRST),
  "open cases by amount, a later page": () =>
    listCases(db, TEST_COMPANY, { status: "open", sort: "amount" }, AFTER_AMOUNT),
  "cases by closing": () => listCases(db, TEST_COMPANY, { status: "recovered", sort: "closed" }, FIRST),
  "cases by closing, a later page": () =>
    listCases(db, TEST_COMPANY, { status: "lost", sort: "closed" }, AFTER("payment_in_50000")),
  "cases of a day": () => listCases(db, TEST_COMPANY, { openedFrom: "2026-10-05", openedTo: "2026-10-05" }, FIRST),
  "cases of a frequent reason": () => listCases(db, TEST_COMPANY, { declineCode: "insufficient_funds" }, FIRST),
  "cases of a customer": () => listCases(db, TEST_COMPANY, { customerId: "stripe_other_141" }, FIRST),
  "cases of a customer by the provider's id": () => listCases(db, TEST_COMPANY, { customerId: "other_141" }, FIRST),
  "cases of an invoice": () => listCases(db, TEST_COMPANY, { invoiceId: "in_7" }, FIRST),
  "cases of a subscription": () => listCases(db, TEST_COMPANY, { subscriptionId: "sub_7" }, FIRST),
  "one case": () => readCase(db, TEST_COMPANY, "payment_in_7"),
  customers: () => listCustomers(db, TEST_COMPANY, {}, FIRST),
  "customers, a later page": () => listCustomers(db, TEST_COMPANY, {}, AFTER("stripe_other_5001")),
  "a customer by the provider's id": () => listCustomers(db, TEST_COMPANY, { providerCustomerId: "other_141" }, FIRST),
  "customers of a frequent risk": () => listCustomers(db, TEST_COMPANY, { riskLevel: "low" }, FIRST),
  "customers by address": () =>
    listCustomers(db, TEST_COMPANY, { addresses: [{ kind: "email", index: "00ff" }] }, FIRST),
  events: () => listEvents(db, TEST_COMPANY, {}, FIRST),
  "events of a customer": () => listEvents(db, TEST_COMPANY, { customerId: "other_141" }, FIRST),
  "an event by the provider's id": () => listEvents(db, TEST_COMPANY, { providerEventId: "other_141" }, FIRST),
  "dead events": () => listEvents(db, TEST_COMPANY, { status: "dead" }, FIRST),
  messages: () => listNudges(db, TEST_COMPANY, {}, FIRST),
  "messages of a customer": () => listNudges(db, TEST_COMPANY, { customerId: "other_141" }, FIRST),
  "messages of a case": () => listNudges(db, TEST_COMPANY, { caseId: "payment_in_7" }, FIRST),
  "messages that may have been sent": () => listNudges(db, TEST_COMPANY, { status: "unknown" }, FIRST),
}

/** Pages that search for something rare. */
const SEARCHES: Readonly<Record<string, () => Promise<unknown>>> = {
  "cases of a rare reason": () => listCases(db, TEST_COMPANY, { declineCode: "rare_code" }, FIRST),
  "open cases of a rare reason by amount": () =>
    listCases(db, TEST_COMPANY, { status: "open", cause: "rare", sort: "amount" }, FIRST),
  "open cases of a rare reason": () => listCases(db, TEST_COMPANY, { status: "open", cause: "rare" }, FIRST),
  "cases of a kind that there is not": () => listCases(db, TEST_COMPANY, { kind: "at_risk" }, FIRST),
  "cases with a message on a channel": () => listCases(db, TEST_COMPANY, { channel: "sms" }, FIRST),
  "cases above an amount": () => listCases(db, TEST_COMPANY, { amountMinorMin: "5000" }, FIRST),
  "customers of a rare risk": () => listCustomers(db, TEST_COMPANY, { riskLevel: "critical" }, FIRST),
  "customers of another provider": () => listCustomers(db, TEST_COMPANY, { provider: "whop" }, FIRST),
  "events of a rare type": () => listEvents(db, TEST_COMPANY, { type: "rare" }, FIRST),
  "events that wait": () => listEvents(db, TEST_COMPANY, { status: "held" }, FIRST),
  "messages of a rare channel": () => listNudges(db, TEST_COMPANY, { channel: "dm" }, FIRST),
}

/** How many rows each of these reads. */
async function readsOf(pages: typeof PAGES): Promise<readonly (readonly [name: string, rows: number])[]> {
  const reads: [string, number][] = []
  for (const [name, read] of Object.entries(pages)) {
    const before = await rowsRead(database)
    await read()
    reads.push([name, (await rowsRead(database)) - before])
  }
  return reads
}

const above = (reads: Awaited<ReturnType<typeof readsOf>>, max: number) => reads.filter(([, read]) => read > max)

describe("with a million facts and ten thousand open cases", { timeout: 240_000 }, () => {
  beforeEach(async () => {
    await fillTables(database, { from: 1, to: FACTS })
    await fillCases()
    await rows("ANALYZE")
  }, 240_000)

  test("pages read the rows that they show, searches a bounded number, the overview its cases and clicks", async () => {
    const pages = await readsOf(PAGES)
    expect(above(pages, READ_MAX)).toEqual([])
    const searches = await readsOf(SEARCHES)
    expect(above(searches, SEARCH_READ_MAX)).toEqual([])
    expect(above(await readsOf({ overview }), OVERVIEW_READ_MAX)).toEqual([])
  })
})
