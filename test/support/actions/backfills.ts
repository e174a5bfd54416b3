/** Imports of a company's past: creates it at the provider's replacement, imports it over HTTP or by the command, counts it. */
import { spawn } from "node:child_process"
import { join } from "node:path"
import { ROOT } from "../../steps.ts"
import { fresh } from "../events/providers.ts"
import { type StripeHistory, stripeHistory } from "../events/stripe-history.ts"
import { putProviderObject } from "../world/external-services.ts"
import { api, sql, world, worldNow } from "../world/world.ts"

export interface BackfillBody {
  readonly id: string
  readonly imported: number
  readonly known: number
  readonly unread: number
  readonly reached: string
  readonly isComplete: boolean
}

/** How many objects are created at once. */
const CREATED_AT_ONCE = 24

/** Histories of `count` customers over a year that ended four hours ago. */
export async function makeHistories(count: number): Promise<readonly StripeHistory[]> {
  const end = Math.floor((await worldNow()).getTime() / 1000) - 4 * 3_600
  return Array.from({ length: count }, (_, seed) =>
    stripeHistory(fresh("p").replace("_", ""), seed * 7_919 + 11, { start: end - 365 * 86_400, end }),
  )
}

/** Adds these histories to Stripe's lists. */
export async function putHistories(histories: readonly StripeHistory[], account?: string): Promise<void> {
  const all = histories.flatMap(({ objects }) =>
    [...objects].flatMap(([collection, list]) => list.map((object) => ({ collection, object }))),
  )
  for (let start = 0; start < all.length; start += CREATED_AT_ONCE) {
    const some = all.slice(start, start + CREATED_AT_ONCE)
    await Promise.all(
      some.map(({ collection, object }) =>
        putProviderObject("stripe", collection, object.id, { ...object, ...(account && { account }) }),
      ),
    )
  }
}

/** A day before the histories begin. */
export const sinceOf = async (): Promise<string> =>
  new Date((await worldNow()).getTime() - 367 * 86_400_000).toISOString().slice(0, 10)

interface Caller {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Starts a backfill. */
export const startBackfill = <T = BackfillBody>(body: object, caller: Caller = {}) =>
  api<T>("/api/backfills", {
    ...(caller.key !== undefined && { key: caller.key }),
    method: "POST",
    headers: { "content-type": "application/json", ...caller.headers },
    body: JSON.stringify(body),
  })

/** One step of a backfill. */
export const step = <T = BackfillBody>(id: string, caller: Caller = {}) =>
  api<T>(`/api/backfills/${id}/next`, {
    ...(caller.key !== undefined && { key: caller.key }),
    method: "POST",
    headers: { ...caller.headers },
  })

/** Steps of one backfill; with more it does not end. */
const STEPS_MAX = 500

/** Runs a backfill to its end. */
export async function finish(id: string, caller: Caller = {}): Promise<BackfillBody> {
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    const { status, body } = await step(id, caller)
    if (status !== 200) throw new Error(`a step was answered ${status}: ${JSON.stringify(body)}`)
    if (body.isComplete) return body
  }
  throw new Error("the backfill does not end")
}

/** `npm run backfill` as a process, without npm. */
export function runBackfill(...args: readonly string[]) {
  const child = spawn(process.execPath, [join(ROOT, "ops/backfill.ts"), ...args], {
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
  const ended = new Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>(
    (resolve) => {
      child.on("close", (code) => resolve({ code, stdout, stderr }))
    },
  )
  return { ended, kill: () => child.kill("SIGKILL"), stderrSoFar: () => stderr }
}

/** A company's cases, payments and subscriptions, without what depends on webhook or import. */
export async function rowsOfCustomers(companyId: string, customers: readonly string[]) {
  const ids = customers.map((customer) => `stripe_${customer}`)
  const cases = await sql(
    `select id, kind, status, amount_minor, recovered_minor, failure_count, opened_at, closed_at
     from recovery_cases where company_id = $1 and customer_id = any($2) order by id collate "C"`,
    [companyId, ids],
  )
  const payments = await sql(
    `select invoice_id, status, amount_minor, refunded_minor, failed_at, paid_at
     from payments where company_id = $1 and customer_id = any($2) order by invoice_id collate "C"`,
    [companyId, ids],
  )
  const subscriptions = await sql(
    `select id, status, items, started_at, cancel_at, ended_at
     from subscriptions where company_id = $1 and customer_id = any($2) order by id collate "C"`,
    [companyId, ids],
  )
  return { cases, payments, subscriptions }
}
