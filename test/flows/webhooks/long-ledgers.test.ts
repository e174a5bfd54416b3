/** A customer with more facts than one page: read in pages, folded to the same state, without losing a fact between them. */
import { beforeEach, expect, test } from "vitest"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import { IS_FIRST_TO_PAUSE, pauseWhile, withPausePoint } from "../../support/world/pause-points.ts"
import { control, reset, sql, stats, waitFor, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

/** Two full pages and a half. */
const FACTS = 5_000
const PAGES = 3

beforeEach(reset)

const before = (at: Date, seconds: number) => new Date(at.getTime() - seconds * 1000)

/** A customer with one usage record per second, until an hour ago. */
async function heavyUser(): Promise<{ readonly customer: string; readonly firstAt: Date; readonly at: Date }> {
  const at = await worldNow()
  const customer = fresh("cus")
  await sendStripe(invoiceEvent({ type: "invoice.paid", at, customer, invoice: fresh("in") }))
  await waitUntilProcessed()
  const firstAt = before(at, 3_600 + FACTS)
  await sql(
    `insert into facts (company_id, id, provider, subject, kind, rank, occurred_at, recorded_at, known_at, body)
     select $1, $2 || '.' || n, 'stripe', $2, 'usage_recorded', f.rank, $3::timestamptz + n * interval '1 second', $4, $4,
       jsonb_build_object('kind', 'usage_recorded', 'meter', 'calls', 'quantity', 1, 'subscriptionId', null)
     from generate_series(0, $5::integer - 1) as n, (select 5 as rank) as f`,
    [world().companyId, customer, firstAt, at, FACTS],
  )
  return { customer, firstAt, at }
}

const stateOf = async (customer: string) =>
  (
    await sql<{ state: { usage?: { calls?: { total: number } }; cases: { invoiceId: string; status: string }[] } }>(
      "select state from customers where provider_customer_id = $1",
      [customer],
    )
  )[0]?.state

const failure = (customer: string, invoice: string, at: Date, id = fresh("evt")) =>
  sendStripe(invoiceEvent({ type: "invoice.payment_failed", id, at, customer, invoice }))

test("a late fact causes each page to be read once, and all facts count", async () => {
  const { customer, firstAt, at } = await heavyUser()
  const invoice = fresh("in")
  await control("DELETE", "/stats")
  expect((await failure(customer, invoice, before(at, 600))).status).toBe(200)
  await waitUntilProcessed()
  // Recording reads the first page, and there is one commit.
  expect((await stats()).postgres).toBe(1 + (PAGES - 1) + 1)
  const state = await stateOf(customer)
  expect(state?.usage?.calls?.total).toBe(FACTS)
  expect(state?.cases).toMatchObject([{ invoiceId: invoice, status: "open" }])
  const marks = await sql<{ key: string; reached_at: Date }>(
    "select key, reached_at from milestones where customer_id = $1 and kind = 'usage' order by reached_at",
    [`stripe_${customer}`],
  )
  expect(marks.map(({ key, reached_at }) => [key, reached_at.getTime() - firstAt.getTime()])).toEqual([
    ["usage_calls_100", 99_000],
    ["usage_calls_1000", 999_000],
  ])
})

test("a fact after the snapshot costs no further page, for any length of the ledger", async () => {
  const { customer, at } = await heavyUser()
  await failure(customer, fresh("in"), before(at, 600))
  await waitUntilProcessed()
  await control("DELETE", "/stats")
  await failure(customer, fresh("in"), before(at, -30))
  await waitUntilProcessed()
  expect((await stats()).postgres).toBe(2)
})

test("a commit between two pages loses neither fact", async () => {
  const { customer, at } = await heavyUser()
  const [held, other] = [fresh("in"), fresh("in")]
  const beforePage = (body: string) => body.replace("  RETURN ledger_page", `  ${pauseWhile(IS_FIRST_TO_PAUSE)}\n$&`)
  await withPausePoint("read_facts", beforePage, async (pausePoint) => {
    expect((await failure(customer, held, before(at, 600))).status).toBe(200)
    await pausePoint.reached()
    // Before the current page, and after the pages that were read.
    await failure(customer, other, before(at, 3_600 + FACTS + 60))
    await waitFor(async () => (await stateOf(customer))?.cases.some(({ invoiceId }) => invoiceId === other) === true)
    await pausePoint.resume()
  })
  await waitUntilProcessed()
  const state = await stateOf(customer)
  expect(state?.cases.map(({ invoiceId }) => invoiceId).sort()).toEqual([held, other].sort())
  expect(state?.usage?.calls?.total).toBe(FACTS)
})
