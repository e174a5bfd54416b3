/** `npm run bench -- growth`: whether the cost of an event grows with what is stored, in all and of its customer. */
import { parseArgs } from "node:util"
import type { EventSource, KnownCustomers } from "../load/events.ts"
import { type Measurement, measureLoad } from "../load/measure.ts"
import { type Benchmark, positive, progress, withStarted } from "../support/benchmark.ts"
import { lineChart } from "../support/chart.ts"
import { copyCustomers, lengthenLedgers, prefixOfCopy, SEED } from "../support/population.ts"
import { type BenchmarkReport, digitsOf, spreadOf, withRange } from "../support/report.ts"
import { forgetStatistics, runSql, setAutovacuum } from "../support/sql.ts"
import { type BenchmarkWorld, startBenchmarkWorld } from "../support/world.ts"

const SEED_CUSTOMERS = 100
const SEED_EVENTS_PER_CUSTOMER = 10

/** Events go to the customers of so many copies, spread over all. */
const PREFIXES = 10

/** Customers with long ledgers, and events to each. */
const LONG_CUSTOMERS = 4
const LONG_PREFIX = "longx"

export const growth: Benchmark = {
  name: "growth",
  help: `  growth     Postgres CPU of an event by the number of stored facts, and by those of its customer
    --facts N          facts stored at most, from 10000 in steps of ten (1000000); 10000000 takes an hour and 30 GB
    --seconds N        length of one measurement (4)
    --rounds N         measurements of each size, fresh and analysed (3)
`,
  run: benchGrowth,
}

interface SizeResult {
  readonly facts: number
  readonly fresh: readonly Measurement[]
  readonly analysed: readonly Measurement[]
}

interface LedgerResult {
  readonly factsOfCustomer: number
  readonly rounds: readonly Measurement[]
}

async function benchGrowth(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({
    args,
    options: {
      facts: { type: "string", default: isQuick ? "20000" : "1000000" },
      seconds: { type: "string", default: isQuick ? "1" : "4" },
      rounds: { type: "string", default: isQuick ? "1" : "3" },
    },
  })
  const [facts, seconds, rounds] = [
    positive("facts", values.facts),
    positive("seconds", values.seconds),
    positive("rounds", values.rounds),
  ]
  return withStarted(
    (dataDir) => startBenchmarkWorld({ dataDir }),
    async (started) => {
      await setAutovacuum(started.adminUrl, false)
      const sizes = await measureSizes(started, { facts, seconds, rounds })
      const ledgers = await measureLedgers(started, {
        seconds,
        rounds,
        facts: isQuick ? [10, 1_000] : [10, 1_000, 100_000],
      })
      return reportOf(
        sizes,
        ledgers,
        `Medians of ${rounds} rounds of ${seconds} s, one event of a known customer after another.`,
      )
    },
  )
}

const paidBy = (customers: KnownCustomers, daysAgo?: number): EventSource => ({
  type: "invoice.paid",
  isSigned: true,
  customers,
  ...(daysAgo !== undefined && { daysAgo }),
})

const CONNECTIONS = 4

async function measureSizes(
  started: BenchmarkWorld,
  { facts, seconds, rounds }: { readonly facts: number; readonly seconds: number; readonly rounds: number },
): Promise<readonly SizeResult[]> {
  const { adminUrl, worker, workerCpu } = started
  const server = { url: worker.url, cpu: workerCpu }
  const seed = paidBy({ prefixes: [SEED], count: SEED_CUSTOMERS }, 20)
  const count = SEED_CUSTOMERS * SEED_EVENTS_PER_CUSTOMER
  progress("the customers to copy")
  await measureLoad(started, server, {
    source: seed,
    pattern: { kind: "burst", count, connections: CONNECTIONS },
    expectedStatus: 200,
    tag: SEED,
  })

  const results: SizeResult[] = []
  let copies = 0
  for (let wanted = 10_000; wanted <= facts; wanted *= 10) {
    const copiesWanted = wanted / count
    progress(`${wanted} facts`)
    await copyCustomers(adminUrl, copies + 1, copiesWanted)
    copies = copiesWanted
    const prefixes = Array.from({ length: PREFIXES }, (_, i) => prefixOfCopy(1 + Math.floor((i * copies) / PREFIXES)))
    const source = paidBy({ prefixes, count: SEED_CUSTOMERS })
    const sending = {
      source,
      pattern: { kind: "closed", connections: CONNECTIONS, seconds },
      expectedStatus: 200,
    } as const
    const measureRounds = async (): Promise<readonly Measurement[]> => {
      await measureLoad(started, server, sending) // connections plan their statements anew
      const measured: Measurement[] = []
      for (let round = 0; round < rounds; round++) measured.push(await measureLoad(started, server, sending))
      return measured
    }
    await forgetStatistics(adminUrl)
    const fresh = await measureRounds()
    await runSql(adminUrl, "ANALYZE")
    results.push({ facts: wanted, fresh, analysed: await measureRounds() })
  }
  return results
}

/** One event after another, each a second later than the one before, to customers whose ledgers grow. */
async function measureLedgers(
  started: BenchmarkWorld,
  wanted: { readonly seconds: number; readonly rounds: number; readonly facts: readonly number[] },
): Promise<readonly LedgerResult[]> {
  const server = { url: started.worker.url, cpu: started.workerCpu }
  const customers = { prefixes: [LONG_PREFIX], count: LONG_CUSTOMERS }
  let daysAgo = 25
  const send = (pattern: { readonly kind: "closed"; readonly seconds: number }) =>
    measureLoad(started, server, {
      source: paidBy(customers, daysAgo--),
      pattern: { ...pattern, connections: 1 },
      expectedStatus: 200,
    })
  const results: LedgerResult[] = []
  let stored = 0
  await send({ kind: "closed", seconds: 1 })
  for (const factsOfCustomer of wanted.facts) {
    progress(`customers of ${factsOfCustomer} facts`)
    await lengthenLedgers(started.adminUrl, LONG_PREFIX, factsOfCustomer - stored)
    stored = factsOfCustomer
    await runSql(started.adminUrl, "ANALYZE")
    await send({ kind: "closed", seconds: wanted.seconds }) // connections plan their statements anew
    const rounds: Measurement[] = []
    for (let round = 0; round < wanted.rounds; round++)
      rounds.push(await send({ kind: "closed", seconds: wanted.seconds }))
    results.push({ factsOfCustomer, rounds })
  }
  return results
}

const postgresOf = (rounds: readonly Measurement[]) => spreadOf(rounds.map(({ postgresCpuMs }) => postgresCpuMs))
const serverOf = (rounds: readonly Measurement[]) => spreadOf(rounds.map(({ serverCpuMs }) => serverCpuMs))

function reportOf(sizes: readonly SizeResult[], ledgers: readonly LedgerResult[], summary: string): BenchmarkReport {
  const [smallest] = sizes
  const ratio = (rounds: readonly Measurement[], first: readonly Measurement[]): string => {
    const [a, b] = [postgresOf(rounds), postgresOf(first)]
    return digitsOf(a && b && a.median / b.median, 2)
  }
  const sizeRows = sizes.map(({ facts, fresh, analysed }) => [
    facts.toLocaleString("en"),
    withRange(postgresOf(fresh), 3),
    withRange(postgresOf(analysed), 3),
    ratio(fresh, smallest?.fresh ?? []),
    ratio(analysed, smallest?.analysed ?? []),
  ])
  const ledgerRows = ledgers.map(({ factsOfCustomer, rounds }) => [
    factsOfCustomer.toLocaleString("en"),
    withRange(postgresOf(rounds), 3),
    withRange(serverOf(rounds), 3),
    ratio(rounds, ledgers[0]?.rounds ?? []),
  ])
  const points = (of: "fresh" | "analysed") =>
    sizes.flatMap((size) => {
      const median = postgresOf(size[of])?.median
      return median === undefined ? [] : [[size.facts, median] as const]
    })
  const title = "Postgres CPU of an event by stored facts"
  const series = (["fresh", "analysed"] as const).map((name) => ({ name: `${name} tables`, points: points(name) }))
  return {
    name: "growth",
    at: new Date(),
    summary,
    tables: [
      {
        title: "Stored facts.",
        note: "Postgres CPU of an event in ms, on tables without statistics and after ANALYZE, and ÷ the smallest size.",
        rows: [["facts", "fresh", "analysed", "fresh ÷", "analysed ÷"], ...sizeRows],
      },
      {
        title: "Facts of the customer.",
        note: "CPU of an event in ms; the snapshot is current.",
        rows: [["facts", "Postgres", "workerd", "Postgres ÷"], ...ledgerRows],
      },
    ],
    charts: [
      { name: "stored", title, svg: lineChart(title, { title: "facts", isLog: true }, { title: "ms" }, series) },
    ],
    data: { sizes, ledgers },
  }
}
