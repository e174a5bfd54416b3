/**
 * A company's past is imported through the same path as webhooks, resumable, and without nudges. Over 300 lines because the
 * tests share generated histories.
 */
import { beforeEach, describe, expect, test } from "vitest"
import {
  type BackfillBody,
  finish,
  makeHistories,
  putHistories,
  rowsOfCustomers,
  runBackfill,
  sinceOf,
  startBackfill,
  step,
} from "../../support/actions/backfills.ts"
import { addCompany } from "../../support/actions/companies.ts"
import { envelope, fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import type { StripeHistory } from "../../support/events/stripe-history.ts"
import { putProviderObject } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

const A = world().companyId
const customersOf = (histories: readonly StripeHistory[]) => histories.map(({ customer }) => customer)
const count = async (text: string, values: readonly unknown[] = []): Promise<number> =>
  Number((await sql<{ count: string }>(`select count(*) as count from ${text}`, values))[0]?.count)

/** Delivers the webhooks of histories to a company's own endpoint, in their order. */
async function deliver(histories: readonly StripeHistory[], companyId: string): Promise<void> {
  await Promise.all(
    histories.map(async ({ customer, webhooks }) => {
      for (const [index, { type, at, object, previous }] of webhooks.entries()) {
        const event = envelope(type, new Date(at * 1000), `evt_${customer}_${index}`, object, previous)
        const { status } = await sendStripe(event, { path: `/api/webhooks/stripe/${companyId}` })
        expect(status).toBe(200)
      }
    }),
  )
  await waitUntilProcessed()
}

test("a year of thirty customers by the command: no nudges, until a payment fails live", {
  timeout: 300_000,
}, async () => {
  const histories = await makeHistories(30)
  await putHistories(histories)
  const since = await sinceOf()
  const { code, stdout, stderr } = await runBackfill("--provider", "stripe", "--since", since, "--json").ended
  expect([code, stderr.split("\n").findLast((line) => line.includes("events/s"))]).toEqual([0, expect.any(String)])
  const record = JSON.parse(stdout) as BackfillBody
  expect(record).toMatchObject({ isComplete: true, known: 0, unread: 0, reached: expect.stringContaining("T") })
  expect(record.imported).toBe(await count("webhook_events"))
  expect(record.imported).toBeGreaterThan(400) // several steps

  expect(await count("customers")).toBe(30)
  expect(await count("webhook_events where status <> 'processed'")).toBe(0)
  expect(await count("recovery_cases where status = 'open'")).toBeGreaterThan(2)
  expect(await count("recovery_cases where status = 'recovered' and recovered_minor > 0")).toBeGreaterThan(8)
  expect(await count("recovery_cases where cause in ('nudge', 'incentive')")).toBe(0)
  expect(await count("customer_pii")).toBe(30)
  expect(await count("nudges")).toBe(0)
  await advanceClock("P10D")
  expect(await count("nudges")).toBe(0)
  expect(await mailbox()).toEqual([])

  const again = await runBackfill("--provider", "stripe", "--since", since, "--json").ended
  expect(JSON.parse(again.stdout)).toMatchObject({ isComplete: true, imported: 0, known: record.imported })
  expect(await mailbox()).toEqual([])

  const [open] = await sql<{ invoice_id: string; customer_id: string; subscription_id: string }>(
    "select invoice_id, customer_id, subscription_id from recovery_cases where kind = 'payment' and status = 'open' order by id limit 1",
  )
  if (open === undefined) throw new Error("no payment case is open")
  const customer = open.customer_id.replace("stripe_", "")
  const live = { customer, invoice: open.invoice_id, subscription: open.subscription_id, attempt: 5 }
  await sendStripe(invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), ...live }))
  const messages = await waitFor(async () => {
    const all = await mailbox()
    return all.length > 0 && all
  })
  expect(messages).toMatchObject([{ to: `${customer.slice(4)}@example.com` }])
  expect(await sql("select distinct case_id from nudges")).toEqual([{ case_id: `payment_${live.invoice}` }])
})

test("an import gives the same rows as the same history delivered as webhooks", { timeout: 240_000 }, async () => {
  const histories = await makeHistories(8)
  await putHistories(histories)
  const B = fresh("company")
  await addCompany(B)
  await deliver(histories, B)
  const { body } = await startBackfill({ provider: "stripe", since: await sinceOf() })
  await finish(body.id)
  const [imported, delivered] = [
    await rowsOfCustomers(A, customersOf(histories)),
    await rowsOfCustomers(B, customersOf(histories)),
  ]
  expect(imported).toEqual(delivered)
  expect(delivered.cases.length).toBeGreaterThan(10)
  expect(await sql("select count(*)::int as nudges from nudges where company_id = $1", [A])).toEqual([{ nudges: 0 }])
})

describe("an interrupted import", () => {
  test("continues where it stopped: after a kill of its process, and with the provider's API and Postgres down", {
    timeout: 240_000,
  }, async () => {
    const histories = await makeHistories(12)
    await putHistories(histories)
    const since = await sinceOf()
    const first = runBackfill("--provider", "stripe", "--since", since)
    await waitFor(async () => /[1-9]\d* imported/.test(first.stderrSoFar()))
    first.kill()
    expect((await first.ended).code).toBeNull()
    const [left] = (await api<{ data: BackfillBody[] }>("/api/backfills")).body.data
    expect(left).toMatchObject({ isComplete: false })

    await setFault("stripe-api", "down")
    const { status, body } = await step<{ code: string }>(left?.id ?? "")
    expect([status, body.code]).toEqual([503, "UNAVAILABLE"])
    const second = runBackfill("--provider", "stripe", "--since", since, "--json")
    await waitFor(async () => second.stderrSoFar().includes("Trying again"))
    await setFault("stripe-api", "off")
    await advanceClock("PT3M") // the circuit breaker is open for a while
    // The command waits as long as the answer says, a minute at most.
    await waitFor(async () => (second.stderrSoFar().match(/imported/g)?.length ?? 0) > 1, 120)
    await setFault("postgres", "down")
    await waitFor(async () => (second.stderrSoFar().match(/Trying again/g)?.length ?? 0) > 1, 120)
    await setFault("postgres", "off")
    const { code, stdout } = await second.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      id: left?.id,
      isComplete: true,
      imported: await count("webhook_events"),
    })
    await waitUntilProcessed()

    const B = fresh("company")
    await addCompany(B)
    await sql("insert into company_accounts values ($1, 'stripe', 'acct_b')", [B])
    await putHistories(histories, "acct_b")
    const { body: whole } = await startBackfill({ provider: "stripe", since }, { headers: { "x-company-id": B } })
    const unbroken = await finish(whole.id, { headers: { "x-company-id": B } })
    expect(unbroken.imported).toBe(await count("webhook_events where company_id = $1", [A]))
    expect(await rowsOfCustomers(A, customersOf(histories))).toEqual(await rowsOfCustomers(B, customersOf(histories)))
  })

  test("interrupted at any call of a step imports and counts each event once", { timeout: 240_000 }, async () => {
    await putHistories(await makeHistories(3))
    const { body } = await startBackfill({ provider: "stripe", since: await sinceOf() })
    const request = () =>
      new Request(`${world().workerUrl}/api/backfills/${body.id}/next`, {
        method: "POST",
        headers: { authorization: `Bearer ${world().adminApiKey}` },
      })
    let killed = 0
    for (let call = 1; call <= 12; call++) {
      for (const when of ["before", "after"] as const) {
        const { status } = await runInProcess(request(), { call, when })
        if (status === "killed") killed += 1
      }
    }
    expect(killed).toBeGreaterThan(8)
    const end = await finish(body.id)
    expect(end.imported).toBe(await count("webhook_events"))
    expect(await count("(select 1 from facts group by id having count(*) > 1) as twice")).toBe(0)
    await advanceClock("PT15M")
    await waitUntilProcessed()
    expect(await mailbox()).toEqual([])
  })

  test("run by two processes at once is one import", { timeout: 240_000 }, async () => {
    await putHistories(await makeHistories(6))
    const since = await sinceOf()
    const begun = await Promise.all([1, 2, 3].map(() => startBackfill({ provider: "stripe", since })))
    const ids = new Set(begun.map(({ body }) => body.id))
    expect([ids.size, begun.map(({ status }) => status).sort()]).toEqual([1, [200, 200, 201]])
    const [id = ""] = ids
    await Promise.all([finish(id), finish(id)])
    const { body: end } = await api<BackfillBody>(`/api/backfills/${id}`)
    expect(end).toMatchObject({ isComplete: true, imported: await count("webhook_events") })
    await waitUntilProcessed()
    expect(await mailbox()).toEqual([])
  })
})

test.each(["webhook first", "import first"])(
  "an event from a webhook and from an import is one attempt of a live case: %s",
  { timeout: 120_000 },
  async (order) => {
    const at = new Date((await worldNow()).getTime() - 3 * 3_600_000)
    const seconds = Math.floor(at.getTime() / 1000)
    const [customer, id] = [fresh("cus"), fresh("in")]
    const invoice = invoiceEvent({ type: "invoice.payment_failed", at, customer, invoice: id })
    const object = (invoice.data as { object: Record<string, unknown> }).object
    await putProviderObject("stripe", "customers", customer, {
      object: "customer",
      created: seconds - 900,
      email: "ann@example.com",
    })
    const transitions = { finalized_at: seconds - 3, paid_at: null, voided_at: null, marked_uncollectible_at: null }
    await putProviderObject("stripe", "invoices", id, {
      ...object,
      created: seconds - 60,
      status_transitions: transitions,
    })
    const importAll = async () => finish((await startBackfill({ provider: "stripe", since: await sinceOf() })).body.id)
    const sendWebhook = async () => {
      expect((await sendStripe(invoice)).status).toBe(200)
      await waitUntilProcessed()
    }
    for (const act of order === "webhook first" ? [sendWebhook, importAll] : [importAll, sendWebhook]) await act()
    expect(await sql("select status, failure_count from recovery_cases")).toEqual([
      { status: "open", failure_count: 1 },
    ])
    expect(await waitFor(async () => (await mailbox()).length)).toBe(1)
    await importAll()
    expect(await count("nudges where reason = 'history'")).toBe(0)
    expect(await mailbox()).toHaveLength(1)
  },
)

test("a page costs one round trip to record and one to fold, for any number of customers", async () => {
  const created = Math.floor((await worldNow()).getTime() / 1000) - 86_400
  for (let n = 0; n < 40; n++) {
    const email = `c${n}@example.com`
    await putProviderObject("stripe", "customers", `cus_many${n}`, { object: "customer", created: created - n, email })
  }
  const { body } = await startBackfill({ provider: "stripe", since: await sinceOf() })
  const request = new Request(`${world().workerUrl}/api/backfills/${body.id}/next`, {
    method: "POST",
    headers: { authorization: `Bearer ${world().adminApiKey}` },
  })
  const { status, callsTo } = await runInProcess(request, null)
  expect(status).toBe(200)
  // Backfill, recording, folding, cursor; a new isolate may also read the flags.
  expect(callsTo(world().vars.DATABASE_FETCH_ENDPOINT ?? "")).toBeLessThanOrEqual(5)
  expect(await count("customer_pii")).toBe(40)
})

test("Whop's lists are imported in the same way", async () => {
  const [own] = await sql<{ account_id: string }>("select account_id from company_accounts where provider = 'whop'")
  const company = own?.account_id ?? ""
  const now = (await worldNow()).getTime()
  const ago = (days: number) => new Date(now - days * 86_400_000).toISOString()
  const user = { id: "user_1", name: "Ann", username: "ann", email: "ann@example.com" }
  const common = { company: { id: company, title: "Flows" }, user, plan: { id: "plan_1" }, product: { id: "prod_1" } }
  await putProviderObject("whop", "memberships", "mem_1", {
    ...{ ...common, status: "canceling", created_at: ago(200), updated_at: ago(5), cancel_at_period_end: true },
    ...{ canceled_at: ago(5), renewal_period_end: ago(-20), currency: "usd", payment_collection_paused: false },
  })
  const bill = {
    ...common,
    membership: { id: "mem_1", status: "active" },
    currency: "usd",
    total: 19.99,
    billing_reason: "subscription_cycle",
  }
  const unpaid = { paid_at: null, status: "open", retryable: true }
  await putProviderObject("whop", "payments", "pay_1", {
    ...bill,
    created_at: ago(100),
    paid_at: ago(97),
    status: "paid",
    payments_failed: 1,
  })
  await putProviderObject("whop", "payments", "pay_2", {
    ...bill,
    ...unpaid,
    created_at: ago(9),
    payments_failed: 2,
    last_payment_attempt: ago(4),
    next_payment_attempt: ago(-1),
  })
  for (let n = 3; n < 40; n++) {
    await putProviderObject("whop", "payments", `pay_${n}`, {
      ...bill,
      created_at: ago(90),
      paid_at: ago(90),
      status: "paid",
      payments_failed: 0,
    })
  }
  await putProviderObject("whop", "refunds", "rf_1", {
    amount: 5,
    currency: "usd",
    status: "succeeded",
    payment: { id: "pay_3" },
    created_at: ago(60),
  })
  await putProviderObject("whop", "disputes", "dspt_1", {
    amount: 19.99,
    currency: "usd",
    status: "lost",
    payment: { id: "pay_1" },
    created_at: ago(50),
    visa_rdr: false,
    company: { id: company },
  })

  const { body } = await startBackfill({ provider: "whop", since: await sinceOf() })
  expect(await finish(body.id)).toMatchObject({ imported: 45, known: 0, unread: 0 })
  expect(await sql("select id, kind, status, failure_count from recovery_cases order by id")).toEqual([
    { id: "cancellation_mem_1_1", kind: "cancellation", status: "open", failure_count: 0 },
    { id: "payment_pay_1", kind: "payment", status: "reversed", failure_count: 1 },
    { id: "payment_pay_2", kind: "payment", status: "open", failure_count: 2 },
  ])
  expect(await sql("select refunded_minor::int as refunded from payments where invoice_id = 'pay_3'")).toEqual([
    { refunded: 500 },
  ])
  expect(await count("payments where status = 'succeeded'")).toBe(38)
  await advanceClock("P10D")
  expect(await mailbox()).toEqual([])
})
