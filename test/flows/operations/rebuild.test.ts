/** State is a function of the ledger: what is missing in it, or was written by an earlier version, is rebuilt. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { afterAll, beforeEach, expect, test } from "vitest"
import { ROOT } from "../../steps.ts"
import { postJobAction } from "../../support/actions/jobs.ts"
import { caseOf, failPayment, payInvoice, sendNewCustomer } from "../../support/actions/members.ts"
import { migratePreviousRows, previousRows } from "../../support/events/previous-version.ts"
import { api, reset, sql, waitFor, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

const JSON_HEADERS = { "content-type": "application/json" }
const WITH_REASON = { method: "POST", body: '{"reason":"a test"}', headers: JSON_HEADERS }

beforeEach(async () => {
  await reset()
  for (const job of ["reconcile", "reminders"]) await api(`/api/jobs/${job}/pause`, WITH_REASON)
})
afterAll(async () => {
  for (const job of ["reconcile", "reminders"]) await api(`/api/jobs/${job}/resume`, { method: "POST" })
})

interface Report {
  readonly checked: number
  readonly applied: number
  readonly differing: readonly {
    readonly customerId: string
    readonly isPending: boolean
    readonly differences: readonly { readonly kind: string; readonly id: string; readonly rebuilt?: string | null }[]
  }[]
}

/** `npm run rebuild` as a process, without npm. */
async function rebuild(...args: readonly string[]): Promise<{ readonly code: number | null; readonly report: Report }> {
  const child = spawn(process.execPath, [join(ROOT, "ops/rebuild.ts"), "--json", ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, CHURN_SAVER_URL: world().workerUrl, CHURN_SAVER_KEY: world().adminApiKey },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let [stdout, stderr] = ["", ""]
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
  if (stdout === "") throw new Error(stderr)
  return { code, report: JSON.parse(stdout) }
}

/** As after the former race: the failure is in the ledger, and the stored state is newer but lacks it. */
async function loseCases(customers: readonly string[]): Promise<void> {
  const ids = customers.map((customer) => `stripe_${customer}`)
  await sql("delete from recovery_cases where customer_id = any($1)", [ids])
  await sql("delete from payments where customer_id = any($1)", [ids])
  await sql("delete from nudges where customer_id = any($1)", [ids])
  await sql("delete from facts where subject = any($1) and kind in ('nudge_planned', 'case_assigned')", [customers])
  const outreach = { sent: [], clicks: [], incentives: [], optedOutAt: null }
  const without = JSON.stringify({ cases: [], payments: {}, outreach })
  await sql("update customers set state = state || $2::jsonb where id = any($1)", [ids, without])
}

test("the command finds missed cases and opens them: the fresh one with its nudges, the old one without", async () => {
  const now = await worldNow()
  for (const name of ["fresh", "old", "well"]) await sendNewCustomer(`cus_${name}`, { email: `${name}@example.com` })
  await waitUntilProcessed()
  await failPayment("cus_fresh", "in_fresh")
  await failPayment("cus_old", "in_old", { at: new Date(now.getTime() - 3 * 86_400_000) })
  await failPayment("cus_well", "in_well")
  await waitUntilProcessed()
  expect((await rebuild("--check")).report.differing).toEqual([])
  await loseCases(["cus_fresh", "cus_old"])

  const found = await rebuild("--check")
  expect(found.code).toBe(3)
  expect(found.report.differing.map(({ customerId, differences }) => [customerId, differences[0]])).toEqual([
    ["stripe_cus_fresh", { kind: "case", id: "payment_in_fresh", stored: null, rebuilt: "open" }],
    ["stripe_cus_old", { kind: "case", id: "payment_in_old", stored: null, rebuilt: "open" }],
  ])
  expect(await sql("select from recovery_cases where invoice_id = 'in_fresh'")).toEqual([])

  const applied = await rebuild("--apply")
  expect([applied.code, applied.report.applied]).toEqual([0, 2])
  expect((await caseOf("in_fresh")).status).toBe("open")
  expect((await caseOf("in_old")).status).toBe("open")
  const nudges = await sql<{ case_id: string; status: string; reason: string | null }>(
    "select distinct case_id, status, reason from nudges where case_id = 'payment_in_old' or step > 0 order by 1",
  )
  expect(nudges).toEqual([
    { case_id: "payment_in_fresh", status: "planned", reason: null },
    { case_id: "payment_in_old", status: "suppressed", reason: "found_late" },
    { case_id: "payment_in_well", status: "planned", reason: null },
  ])
  expect((await rebuild("--check")).report.differing).toEqual([])
})

test("a ledger of the previous version folds without loss, including its unprocessed events", async () => {
  const casesNow = async () =>
    (await sql<Record<string, unknown>>("select customer_id, id, kind, status, amount_minor from recovery_cases"))
      .map(({ customer_id, id, kind, status, amount_minor }) =>
        [customer_id, id, kind, status, Number(amount_minor)].join(" "),
      )
      .sort()
  const expected = (previousRows().recovery_cases ?? [])
    .map(({ customer_id, id, kind, status, amount_minor }) => [customer_id, id, kind, status, amount_minor].join(" "))
    .sort()
  await migratePreviousRows()

  // Ledgers and stored states have the same cases; only held events are not folded yet.
  const { report } = await rebuild("--check")
  expect(report.checked).toBe(previousRows().customers?.length)
  const differing = report.differing.filter(({ isPending }) => !isPending)
  expect(differing.flatMap(({ differences }) => differences.filter(({ kind }) => kind === "case"))).toEqual([])

  await postJobAction("sweep", "run")
  await waitFor(async () => {
    const [row] = await sql<{ left: string }>(
      "select count(*) as left from webhook_events where status in ('held', 'received', 'failed')",
    )
    return row?.left === "0"
  })
  await rebuild("--apply")
  const held = "stripe_cus_held payment_in_held payment open 1999"
  expect(await casesNow()).toEqual([...expected, held].sort())
  expect((await rebuild("--check")).report.differing).toEqual([])

  // New events continue from the stored state.
  await payInvoice("cus_nudged", "in_nudged")
  expect((await caseOf("in_nudged")).status).toBe("recovered")
  const kept = await sql<{ count: string }>("select count(*) as count from facts where event_id is not null")
  expect(Number(kept[0]?.count)).toBeGreaterThan(
    (previousRows().facts ?? []).filter((row) => row.event_id !== null).length,
  )
})
