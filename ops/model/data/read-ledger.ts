/** Reads training rows from our own ledgers, company by company in pages of customers. */
import { z } from "zod"
import { type Db, makeDb } from "../../../db/client.ts"
import { companyIds } from "../../../db/queries/platform/companies.ts"
import { readLedgerPage } from "../../../db/queries/scoring/ledgers.ts"
import { createFaults } from "../../../local/faults.ts"
import { type NeonProxy, startNeonProxy } from "../../../local/postgres/neon-proxy.ts"
import type { LedgerFact } from "../../../shared/domain/scoring/features.ts"
import { FeatureMatrix } from "../../../shared/learning/data/feature-matrix.ts"
import { ledgerRows, withHistoryAtOccurredAt, withoutImportedFacts } from "../../../shared/learning/data/ledger-rows.ts"
import type { DatedRows } from "../../../shared/learning/evaluation/backtest.ts"
import { InputError, type Output } from "../subcommand.ts"

export const LEDGER_OPTIONS = {
  "from-ledger": { type: "boolean", default: false },
  company: { type: "string" },
  all: { type: "boolean", default: false },
  "database-url": { type: "string" },
  now: { type: "string" },
  "no-history": { type: "boolean", default: false },
} as const

export const LEDGER_HELP = `--from-ledger [URL] [--company ID | --all]   what the product itself has seen: a row for each customer at each first of a month
  --company ID      one company's ledger; --all: all companies pooled, each with its own intercept
  --database-url U  the database, as the deployment has it (DATABASE_URL), or the one that npm start prints; the URL after
                    --from-ledger is the same
  --no-history      leave out imported facts; otherwise they count from when they happened
  --now T           use rows whose outcome was final by then (now)
`

/** Customers per page: a few megabytes with any ledgers. */
const PAGE_CUSTOMERS = 50
/** Longer than a deployment's limit, which is for single customers. */
const TIMEOUT_MS = 60_000

interface Given {
  readonly company?: string | undefined
  readonly all: boolean
  readonly "database-url"?: string | undefined
  readonly now?: string | undefined
  readonly "no-history": boolean
}

/** The rows read, and the counts of churn reasons. */
export interface LedgerTable {
  readonly rows: DatedRows
  readonly companies: readonly string[]
  readonly ends: Readonly<Record<string, number>>
}

/** The rows of one company or of all. Throws `InputError` for inconsistent options or without a database URL. */
export async function readLedger(given: Given, output: Output): Promise<LedgerTable> {
  if (given.all && given.company !== undefined) throw new InputError("Name a company with --company, or take --all.")
  const nowMs = given.now === undefined ? Date.now() : Date.parse(given.now)
  if (Number.isNaN(nowMs)) throw new InputError("--now is a time such as 2026-01-31T12:00:00Z.")
  const { db, stop } = await databaseOf(given["database-url"])
  try {
    return await readAll(db, { ...given, nowMs }, output)
  } finally {
    await stop()
  }
}

async function readAll(db: Db, given: Given & { readonly nowMs: number }, output: Output): Promise<LedgerTable> {
  const { nowMs } = given
  const companies = given.company === undefined ? await companyIds(db) : [given.company]
  if (!given.all && companies.length > 1) {
    throw new InputError(`Name a company with --company, or take --all: there are ${companies.length}.`)
  }
  const asKnown = given["no-history"] ? withoutImportedFacts : withHistoryAtOccurredAt

  const matrix = new FeatureMatrix()
  const [outcomes, customers, times, groups]: [number[], string[], number[], string[]] = [[], [], [], []]
  const ends: Record<string, number> = {}
  let read = 0
  for (const company of companies) {
    for await (const [customer, ledger] of ledgersOf(db, company)) {
      read += 1
      for (const { atMs, values, label } of ledgerRows(asKnown(ledger), nowMs)) {
        matrix.add(values)
        outcomes.push(Number(label.isChurned))
        customers.push(`${company}/${customer}`)
        times.push(atMs)
        groups.push(company)
        if (label.end !== null) ends[label.end] = (ends[label.end] ?? 0) + 1
      }
      if (read % PAGE_CUSTOMERS === 0) output.progress(`${company}: ${read} customers, ${outcomes.length} rows`)
    }
  }
  const events = outcomes.reduce((sum, outcome) => sum + outcome, 0)
  const why = Object.entries(ends).map(([end, count]) => `${end} ${count}`)
  output.err(
    `${read} customers of ${companies.length} companies: ${outcomes.length} rows, ${events} left${why.length > 0 ? ` (${why.join(", ")})` : ""}.\n`,
  )
  if (outcomes.length === 0) throw new InputError("No customer has a month whose outcome is known yet.")
  const rows: DatedRows = {
    matrix: matrix.build(),
    outcomes: Uint8Array.from(outcomes),
    customers,
    times: Float64Array.from(times),
    groups,
  }
  return { rows, companies, ends }
}

async function* ledgersOf(db: Db, company: string): AsyncGenerator<readonly [string, readonly LedgerFact[]]> {
  let after: string | null = null
  for (;;) {
    const page: ReadonlyMap<string, readonly LedgerFact[]> = await readLedgerPage(db, company, {
      after,
      limit: PAGE_CUSTOMERS,
    })
    yield* page
    const last = [...page.keys()].at(-1)
    if (last === undefined) return
    after = last
  }
}

const databaseUrl = z.url({ protocol: /^postgres(ql)?$/ })

/** Hosts of a local database, which uses Postgres's own protocol and not Neon's over HTTP. */
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"])

/** The database of the options or the environment, and a function that closes it. */
async function databaseOf(given: string | undefined): Promise<{ readonly db: Db; stop(): Promise<void> }> {
  const url = databaseUrl.safeParse(given ?? process.env.DATABASE_URL)
  if (!url.success)
    throw new InputError("Name the database after --from-ledger, with --database-url or DATABASE_URL: postgres://….")
  const endpoint = process.env.DATABASE_FETCH_ENDPOINT
  const isLocal = endpoint === undefined && LOOPBACK.has(new URL(url.data).hostname)
  const proxy = isLocal ? await proxyTo(url.data) : null
  const fetchEndpoint = proxy?.url ?? endpoint ?? null
  // The client requires a password, although a local database does not.
  const whole = new URL(url.data)
  if (isLocal && whole.password === "") whole.password = "none"
  const db = makeDb({ url: whole.href, fetchEndpoint, timeoutMs: TIMEOUT_MS })
  return { db, stop: async () => proxy?.stop() }
}

/** A proxy for Neon's protocol in front of a local database. */
const proxyTo = (url: string): Promise<NeonProxy> =>
  startNeonProxy({ postgres: { url: () => url }, faults: createFaults() })
