/** `npm run bench -- pages`: what the dashboard's pages cost when much is stored. */
import { parseArgs } from "node:util"
import type { EventSource } from "../load/events.ts"
import { measureLoad } from "../load/measure.ts"
import { type Benchmark, positive, progress, withStarted } from "../support/benchmark.ts"
import { copyCustomers, SEED } from "../support/population.ts"
import { type BenchmarkReport, digitsOf } from "../support/report.ts"
import { runSql } from "../support/sql.ts"
import { percentile } from "../support/statistics.ts"
import { type BenchmarkWorld, startBenchmarkWorld, untilIdle } from "../support/world.ts"

const SEED_CUSTOMERS = 100
const PAYMENTS_PER_CUSTOMER = 8
/** One customer in ten has an open case: two facts of a failed payment, and its nudges. */
const SEED_CASES = SEED_CUSTOMERS / 10
const FACTS_PER_SEED = SEED_CUSTOMERS * PAYMENTS_PER_CUSTOMER + SEED_CASES
const CONNECTIONS = 4

export const pages: Benchmark = {
  name: "pages",
  help: `  pages      the dashboard's pages, with many facts and open cases stored
    --facts N          facts stored (1000000); one customer in ten has an open case
    --visits N         visits of each page (20)
`,
  run: benchPages,
}

interface PageResult {
  readonly name: string
  readonly path: string
  readonly firstMs: number
  readonly p50Ms: number
  readonly maxMs: number
  readonly workerCpuMs: number | null
  readonly postgresCpuMs: number | null
  readonly postgresTrips: number
  readonly bytes: number
}

async function benchPages(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({
    args,
    options: {
      facts: { type: "string", default: isQuick ? "10000" : "1000000" },
      visits: { type: "string", default: isQuick ? "3" : "20" },
    },
  })
  const [facts, visits] = [positive("facts", values.facts), positive("visits", values.visits)]
  return withStarted(
    (dataDir) => startBenchmarkWorld({ dataDir }),
    async (started) => {
      await store(started, facts)
      const cookie = await signIn(started)
      const results: PageResult[] = []
      for (const [name, path] of pagesOf(SEED)) {
        results.push(await visit(started, { name, path, cookie, visits }))
      }
      return reportOf(results, await countStored(started.adminUrl), visits)
    },
  )
}

/** Customers with paid invoices, of whom some have an open case, and their copies. */
async function store(started: BenchmarkWorld, facts: number): Promise<void> {
  const { adminUrl, worker, workerCpu } = started
  const send = (source: EventSource, count: number, tag: string) =>
    measureLoad(
      started,
      { url: worker.url, cpu: workerCpu },
      { source, pattern: { kind: "burst", count, connections: CONNECTIONS }, expectedStatus: 200, tag },
    )
  const customers = (count: number) => ({ customers: { prefixes: [SEED], count }, isSigned: true })
  progress("the customers to copy")
  const payments = SEED_CUSTOMERS * PAYMENTS_PER_CUSTOMER
  await send({ type: "invoice.paid", daysAgo: 20, ...customers(SEED_CUSTOMERS) }, payments, `${SEED}p`)
  await send({ type: "invoice.payment_failed", daysAgo: 2, ...customers(SEED_CASES) }, SEED_CASES, `${SEED}f`)
  progress(`${facts} facts`)
  await copyCustomers(adminUrl, 1, Math.round(facts / FACTS_PER_SEED))
  await runSql(adminUrl, "ANALYZE")
}

/** The cookie of a session that an operator's key was exchanged for. */
async function signIn({ worker, world }: BenchmarkWorld): Promise<string> {
  const response = await fetch(new URL("/dashboard/sign-in/key", worker.url), {
    method: "POST",
    body: new URLSearchParams({ key: world.adminApiKey, next: "/dashboard" }),
    headers: { origin: worker.url, "sec-fetch-site": "same-origin" },
    redirect: "manual",
  })
  const cookie = response.headers.getSetCookie().map((line) => line.split(";", 1)[0])
  if (cookie.length === 0) throw new Error(`signing in was answered ${response.status}, without a session`)
  return cookie.join("; ")
}

/** Pages by what they show, with a customer whose ids have this prefix: a copy's address cannot be read. */
const pagesOf = (prefix: string): readonly (readonly [string, string])[] => [
  ["overview", ""],
  ["overview of 180 days", "?days=180"],
  ["cases", "/cases"],
  ["open cases by amount", "/cases?status=open&sort=amount"],
  ["open cases of payments", "/cases?status=open&kind=payment"],
  ["a case", `/cases/payment_in_${prefix}f0`],
  ["customers", "/customers"],
  ["customers at high risk", "/customers?riskLevel=high"],
  ["a customer", `/customers/cus_${prefix}0`],
  ["messages", "/messages"],
  ["events", "/events"],
  ["interventions", "/interventions"],
  ["templates", "/templates"],
  ["jobs and dead letters", "/jobs"],
  ["set-up", "/set-up"],
]

interface Visit {
  readonly name: string
  readonly path: string
  readonly cookie: string
  readonly visits: number
}

/** Visits a page, one time after the other. Throws when one is not shown. */
async function visit(started: BenchmarkWorld, { name, path, cookie, visits }: Visit): Promise<PageResult> {
  const { worker, world, workerCpu, postgresCpu } = started
  const load = async (): Promise<{ readonly ms: number; readonly bytes: number }> => {
    const startedAt = performance.now()
    const response = await fetch(new URL(`/dashboard${path}`, worker.url), { headers: { cookie }, redirect: "manual" })
    const { byteLength } = await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`${path} was answered ${response.status}`)
    return { ms: performance.now() - startedAt, bytes: byteLength }
  }
  progress(name)
  const first = await load()
  await untilIdle(world)
  world.stats.clear()
  const before = [workerCpu?.() ?? 0, postgresCpu?.() ?? 0]
  const times: number[] = []
  for (let visited = 0; visited < visits; visited++) times.push((await load()).ms)
  const perVisit = (now: number, then = 0): number => (now - then) / visits
  return {
    name,
    path: `/dashboard${path}`,
    firstMs: first.ms,
    p50Ms: percentile(times, 50),
    maxMs: Math.max(...times),
    workerCpuMs: workerCpu && perVisit(workerCpu(), before[0]),
    postgresCpuMs: postgresCpu && perVisit(postgresCpu(), before[1]),
    postgresTrips: perVisit(world.stats.all().postgres ?? 0),
    bytes: first.bytes,
  }
}

interface Stored {
  readonly facts: number
  readonly customers: number
  readonly cases: number
}

async function countStored(adminUrl: string): Promise<Stored> {
  const [row] = await runSql<{ facts: number; customers: number; cases: number }>(
    adminUrl,
    `SELECT (SELECT count(*)::integer FROM facts) AS facts, (SELECT count(*)::integer FROM customers) AS customers,
       (SELECT count(*)::integer FROM recovery_cases WHERE status = 'open') AS cases`,
  )
  if (!row) throw new Error("Postgres counted nothing")
  return row
}

function reportOf(results: readonly PageResult[], stored: Stored, visits: number): BenchmarkReport {
  const [facts, customers, cases] = [stored.facts, stored.customers, stored.cases].map((n) => n.toLocaleString("en"))
  const rows = results.map((page) => [
    page.name,
    page.firstMs.toFixed(0),
    page.p50Ms.toFixed(0),
    page.maxMs.toFixed(0),
    digitsOf(page.workerCpuMs, 1),
    digitsOf(page.postgresCpuMs, 1),
    page.postgresTrips.toFixed(1),
    (page.bytes / 1024).toFixed(0),
  ])
  return {
    name: "pages",
    at: new Date(),
    summary: `${facts} facts, ${customers} customers, ${cases} open cases of one company; ${visits} visits of each page.`,
    tables: [
      {
        title: "Pages.",
        note: "Times are those of the visitor, CPU is for a visit.",
        rows: [
          ["page", "first ms", "p50 ms", "slowest ms", "workerd CPU ms", "Postgres CPU ms", "Postgres trips", "KiB"],
          ...rows,
        ],
      },
    ],
    charts: [],
    data: { stored, results },
  }
}
