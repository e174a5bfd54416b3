/** `npm run bench -- fold`: ledgers folded from the beginning, as data alone, and by the Worker from its database. */
import { parseArgs } from "node:util"
import { z } from "zod"
import type { Fact } from "../../shared/domain/facts.ts"
import { fold as foldFacts } from "../../shared/domain/recovery/fold.ts"
import { paymentFailed, paymentSucceeded } from "../../test/support/events/facts.ts"
import { measureLoad } from "../load/measure.ts"
import { type Benchmark, positive, progress, withStarted } from "../support/benchmark.ts"
import { ownCpu } from "../support/cpu.ts"
import { callWorker } from "../support/jobs.ts"
import { copyCustomers, lengthenLedgers, SEED } from "../support/population.ts"
import { type BenchmarkReport, digitsOf } from "../support/report.ts"
import { runSql } from "../support/sql.ts"
import { type BenchmarkWorld, startBenchmarkWorld, untilIdle } from "../support/world.ts"

const SEED_CUSTOMERS = 100
const FACTS_PER_CUSTOMER = 10

/** Customers of one request to the Worker; the most that it takes. */
const PAGE = 50

export const fold: Benchmark = {
  name: "fold",
  help: `  fold       ledgers folded from the beginning, as data and by the Worker
    --facts N          facts of all customers together (1000000)
    --ledger N         facts of one customer with a long ledger (100000)
`,
  run: benchFold,
}

interface PureResult {
  readonly factsOfCustomer: number
  readonly factsPerSecond: number
}

interface RebuildResult {
  readonly what: string
  readonly facts: number
  readonly seconds: number
  readonly workerCpuMs: number | null
  readonly postgresCpuMs: number | null
}

async function benchFold(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({
    args,
    options: {
      facts: { type: "string", default: isQuick ? "10000" : "1000000" },
      ledger: { type: "string", default: isQuick ? "3000" : "100000" },
    },
  })
  const [facts, ledger] = [positive("facts", values.facts), positive("ledger", values.ledger)]
  const pure = [10, 1_000, ledger].map((factsOfCustomer) => foldPure(facts, factsOfCustomer))
  const rebuilt = await withStarted(
    (dataDir) => startBenchmarkWorld({ dataDir }),
    (started) => rebuild(started, facts, ledger),
  )
  return reportOf(pure, rebuilt)
}

const MINUTE_MS = 60_000

/** A customer whose invoices fail and are paid, in turn. */
function ledgerOf(facts: number): readonly Fact[] {
  const start = Date.UTC(2026, 0, 1)
  return Array.from({ length: facts }, (_, index) => {
    const at = new Date(start + index * MINUTE_MS).toISOString()
    const invoiceId = `in_${Math.floor(index / 2)}`
    const id = `fact_${String(index).padStart(7, "0")}`
    return index % 2 === 0 ? paymentFailed({ at, id, invoiceId }) : paymentSucceeded({ at, id, invoiceId })
  })
}

function foldPure(facts: number, factsOfCustomer: number): PureResult {
  progress(`folding ${facts} facts, ${factsOfCustomer} of each customer`)
  const ledger = ledgerOf(factsOfCustomer)
  const times = Math.max(1, Math.round(facts / factsOfCustomer))
  const before = ownCpu()
  for (let time = 0; time < times; time++) foldFacts(ledger)
  return { factsOfCustomer, factsPerSecond: (times * factsOfCustomer * 1_000) / (ownCpu() - before) }
}

const page = z.object({ checked: z.number(), differing: z.array(z.unknown()), next: z.string().nullable() })

/** Compares all states with their ledgers, as `npm run rebuild -- --check` does, and then that of one long ledger. */
async function rebuild(started: BenchmarkWorld, facts: number, ledger: number): Promise<readonly RebuildResult[]> {
  const { adminUrl, worker, workerCpu } = started
  const count = SEED_CUSTOMERS * FACTS_PER_CUSTOMER
  const send = (prefix: string, customers: number, events: number) =>
    measureLoad(
      started,
      { url: worker.url, cpu: workerCpu },
      {
        source: {
          type: "invoice.paid",
          isSigned: true,
          customers: { prefixes: [prefix], count: customers },
          daysAgo: 20,
        },
        pattern: { kind: "burst", count: events, connections: 4 },
        expectedStatus: 200,
        tag: prefix,
      },
    )
  await send(SEED, SEED_CUSTOMERS, count)
  progress(`${facts} facts`)
  await copyCustomers(adminUrl, 1, Math.round(facts / count) - 1)
  await runSql(adminUrl, "ANALYZE")
  const all = await timed(started, `all customers, ${FACTS_PER_CUSTOMER} facts each`, facts, async () => {
    let after: string | null = null
    do {
      const { next }: z.infer<typeof page> = await callWorker(started, "/api/rebuild", page, { after, limit: PAGE })
      after = next
    } while (after !== null)
  })

  await send("longx", 1, 2)
  await lengthenLedgers(adminUrl, "longx", ledger)
  await runSql(adminUrl, "ANALYZE")
  const one = await timed(started, "one customer", ledger, async () => {
    await callWorker(started, "/api/rebuild", page, { after: "stripe_cus_longx", limit: 1 })
  })
  return [all, one]
}

async function timed(
  { world, workerCpu, postgresCpu }: BenchmarkWorld,
  what: string,
  facts: number,
  work: () => Promise<void>,
): Promise<RebuildResult> {
  progress(`rebuild: ${what}`)
  const before = [workerCpu?.() ?? 0, postgresCpu?.() ?? 0]
  const startedAt = performance.now()
  await work()
  const seconds = (performance.now() - startedAt) / 1_000
  await untilIdle(world)
  const [workerMs = 0, postgresMs = 0] = [workerCpu?.() ?? 0, postgresCpu?.() ?? 0].map(
    (value, index) => value - (before[index] ?? 0),
  )
  return { what, facts, seconds, workerCpuMs: workerCpu && workerMs, postgresCpuMs: postgresCpu && postgresMs }
}

function reportOf(pure: readonly PureResult[], rebuilt: readonly RebuildResult[]): BenchmarkReport {
  const perThousand = (ms: number | null, facts: number): string => digitsOf(ms && (ms * 1_000) / facts, 1)
  return {
    name: "fold",
    at: new Date(),
    summary: "CPU time; one core folds.",
    tables: [
      {
        title: "Facts folded as data, in Node.",
        rows: [
          ["facts of a customer", "facts a second of CPU"],
          ...pure.map(({ factsOfCustomer, factsPerSecond }) => [
            factsOfCustomer.toLocaleString("en"),
            Math.round(factsPerSecond).toLocaleString("en"),
          ]),
        ],
      },
      {
        title: "Cold rebuild by the Worker.",
        note: "Read, folded and compared, page by page; CPU in ms for 1 000 facts.",
        rows: [
          ["", "facts", "s", "facts/s", "workerd CPU", "Postgres CPU"],
          ...rebuilt.map(({ what, facts, seconds, workerCpuMs, postgresCpuMs }) => [
            what,
            facts.toLocaleString("en"),
            seconds.toFixed(1),
            Math.round(facts / seconds).toLocaleString("en"),
            perThousand(workerCpuMs, facts),
            perThousand(postgresCpuMs, facts),
          ]),
        ],
      },
    ],
    charts: [],
    data: { pure, rebuilt },
  }
}
