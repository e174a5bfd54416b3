/** Payment cases without news. */
import { beforeEach, expect, test } from "vitest"
import {
  type CaseBody,
  caseOf,
  failPayment,
  messages,
  payInvoice,
  sendNewCustomer,
} from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, reset, runHeartbeats, sql } from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  const playbooks = { payment: [{ day: 0 }], cancellation: [], at_risk: [] }
  const body = JSON.stringify({ quietHours: null, playbooks })
  const answer = await api("/api/settings", { method: "PUT", body, headers: { "content-type": "application/json" } })
  expect(answer.status).toBe(200)
  await runHeartbeats(["interventions"])
})

type Shown = CaseBody & { readonly cause: string | null; readonly closedAt: string; readonly recoveredMinor: number }
const shown = async (invoice: string) => (await caseOf(invoice)) as Shown

test("a case without news lapses after sixty days, one with news later, and a late payment still recovers it", async () => {
  const [silent, retried] = [fresh("in"), fresh("in")]
  const customer = fresh("cus")
  await sendNewCustomer(customer, { email: `${customer}@example.com` })
  await failPayment(customer, silent)
  await failPayment(fresh("cus"), retried)
  await messages(2)

  await advanceClock("P30D")
  await failPayment((await shown(retried)).customerId.replace("stripe_", ""), retried, { attempt: 2 })
  await advanceClock("P29D")
  expect(await shown(silent)).toMatchObject({ status: "open", cause: null })

  await advanceClock("PT26H")
  const lapsed = await shown(silent)
  expect(lapsed).toMatchObject({ status: "lost", cause: "lapsed", recoveredMinor: 0 })
  expect(lapsed.timeline.filter(({ kind }) => kind === "case_lapsed")).toHaveLength(1)
  const [failure] = lapsed.timeline.filter(({ kind }) => kind === "payment_failed")
  expect(Date.parse(lapsed.closedAt) - Date.parse(String(failure?.occurredAt))).toBe(60 * 86_400_000)
  expect(await shown(retried)).toMatchObject({ status: "open" })

  // Another run finds nothing more, and the state is the fold of the ledger.
  await advanceClock("PT2H")
  expect(await sql("select count(*)::int as facts from facts where kind = 'case_lapsed'")).toEqual([{ facts: 1 }])
  expect(
    await sql("select id from lapsing_cases($1::timestamptz, 10, null)", [
      new Date(Date.parse(lapsed.closedAt) - 60 * 86_400_000 + 1).toISOString(),
    ]),
  ).toEqual([])

  await payInvoice(customer, silent)
  expect(await shown(silent)).toMatchObject({ status: "recovered", recoveredMinor: 1_999 })
}, 280_000)

test("a case whose row lacks the time of its news is checked once, then not until it may lapse", async () => {
  const invoice = fresh("in")
  const customer = fresh("cus")
  await failPayment(customer, invoice)
  const { id } = await shown(invoice)
  await sql("update recovery_cases set opened_at = opened_at - interval '90 days', last_news_at = null where id = $1", [
    id,
  ])
  await advanceClock("PT1H")
  expect(await shown(invoice)).toMatchObject({ status: "open" })
  const [row] = await sql<{ known: boolean }>(
    "select last_news_at > now() - interval '300 days' as known from recovery_cases where id = $1",
    [id],
  )
  expect(row).toEqual({ known: true })
}, 120_000)
