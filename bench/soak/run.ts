/** `npm run bench -- soak`: half of what the Worker can take, for a long time: nothing may grow. */
import { parseArgs } from "node:util"
import type { EventSource } from "../load/events.ts"
import { measureLoad } from "../load/measure.ts"
import { type Benchmark, positive, progress, withStarted } from "../support/benchmark.ts"
import { lineChart } from "../support/chart.ts"
import { heapBytes, residentBytes } from "../support/memory.ts"
import { type BenchmarkReport, digitsOf } from "../support/report.ts"
import { runSql } from "../support/sql.ts"
import { percentile } from "../support/statistics.ts"
import { type BenchmarkWorld, startBenchmarkWorld } from "../support/world.ts"

const SHARE_OF_SATURATION = 0.5
const SATURATION = { connections: 40, seconds: 8 }

/** One reading of everything. */
const STEP_SECONDS = 15

/** The first and last readings that are compared with each other, as a share of all. */
const ENDS_SHARE = 1 / 4

export const soak: Benchmark = {
  name: "soak",
  help: `  soak       half of saturation for a long time: memory, latency and work left over
    --minutes N        (30)
`,
  run: benchSoak,
}

interface Reading {
  readonly minute: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly residentBytes: number | null
  readonly heapBytes: number
  /** Events that were acknowledged and are not processed yet. */
  readonly unfinished: number
  readonly postgresCpuMs: number | null
}

async function benchSoak(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({ args, options: { minutes: { type: "string", default: isQuick ? "0.1" : "30" } } })
  const minutes = positive("minutes", values.minutes)
  const stepSeconds = isQuick ? 1 : STEP_SECONDS
  return withStarted(
    (dataDir) => startBenchmarkWorld({ dataDir, workerd: { isInspected: true } }),
    async (started) => {
      const perSecond = Math.floor((await saturation(started, isQuick ? 2 : SATURATION.seconds)) * SHARE_OF_SATURATION)
      const readings: Reading[] = []
      const startedAt = performance.now()
      const minute = (): number => (performance.now() - startedAt) / 60_000
      while (minute() < minutes) {
        readings.push(await readingOf(started, minute, { kind: "open", perSecond, seconds: stepSeconds }))
        progress(`minute ${minute().toFixed(1)} of ${minutes}`)
      }
      return reportOf(readings, perSecond, minutes)
    },
  )
}

/** A third of the events are failures, so that cases open. */
const SOURCES: readonly EventSource[] = [
  { type: "invoice.paid", isSigned: true, customers: { prefixes: ["soak"], count: 10_000 } },
  { type: "invoice.paid", isSigned: true, customers: "fresh" },
  { type: "invoice.payment_failed", isSigned: true, customers: "fresh" },
]

async function saturation(started: BenchmarkWorld, seconds: number): Promise<number> {
  const [source] = SOURCES
  if (source === undefined) throw new Error("there is no load")
  const server = { url: started.worker.url, cpu: started.workerCpu }
  const sending = {
    source,
    pattern: { kind: "closed", connections: SATURATION.connections, seconds },
    expectedStatus: 200,
  } as const
  await measureLoad(started, server, sending)
  return (await measureLoad(started, server, sending)).foldedPerSecond
}

let steps = 0

async function readingOf(
  started: BenchmarkWorld,
  minute: () => number,
  pattern: { readonly kind: "open"; readonly perSecond: number; readonly seconds: number },
): Promise<Reading> {
  const { worker, workerCpu, adminUrl } = started
  const source = SOURCES[steps++ % SOURCES.length]
  if (source === undefined) throw new Error("there is no load")
  const { p50Ms, p99Ms, postgresCpuMs } = await measureLoad(
    started,
    { url: worker.url, cpu: workerCpu },
    { source, pattern, expectedStatus: 200 },
  )
  const [row] = await runSql<{ unfinished: number }>(
    adminUrl,
    "SELECT count(*)::integer AS unfinished FROM webhook_events WHERE status IN ('received', 'failed', 'held')",
  )
  const heap = await heapBytes(worker)
  const unfinished = row?.unfinished ?? 0
  return {
    minute: minute(),
    p50Ms,
    p99Ms,
    residentBytes: residentBytes(worker.pid),
    heapBytes: heap,
    unfinished,
    postgresCpuMs,
  }
}

const MIB = 1024 ** 2

function reportOf(readings: readonly Reading[], perSecond: number, minutes: number): BenchmarkReport {
  const ends = Math.max(1, Math.floor(readings.length * ENDS_SHARE))
  const measures: readonly {
    readonly title: string
    readonly digits: number
    readonly of: (reading: Reading) => number | null
  }[] = [
    { title: "p50 ms", digits: 2, of: ({ p50Ms }) => p50Ms },
    { title: "p99 ms", digits: 1, of: ({ p99Ms }) => p99Ms },
    { title: "Postgres CPU ms an event", digits: 3, of: ({ postgresCpuMs }) => postgresCpuMs },
    { title: "resident MiB", digits: 1, of: ({ residentBytes: bytes }) => bytes && bytes / MIB },
    { title: "heap MiB", digits: 1, of: ({ heapBytes: bytes }) => bytes / MIB },
    { title: "events not processed", digits: 0, of: ({ unfinished }) => unfinished },
  ]
  const medianOf = (part: readonly Reading[], of: (reading: Reading) => number | null): number | null => {
    const values = part.map(of).filter((value) => value !== null)
    return values.length === 0 ? null : percentile(values, 50)
  }
  const rows = measures.map(({ title, digits, of }) => {
    const [first, last] = [medianOf(readings.slice(0, ends), of), medianOf(readings.slice(-ends), of)]
    const ratio = first === null || last === null || first === 0 ? "" : (last / first).toFixed(2)
    const most = Math.max(...readings.map((reading) => of(reading) ?? 0))
    return [title, digitsOf(first, digits), digitsOf(last, digits), ratio, most.toFixed(digits)]
  })
  const chart = (
    name: string,
    title: string,
    unit: string,
    series: readonly { readonly name: string; readonly of: (reading: Reading) => number }[],
  ) => ({
    name,
    title,
    svg: lineChart(
      title,
      { title: "minutes" },
      { title: unit },
      series.map(({ name: line, of }) => ({
        name: line,
        points: readings.map((reading) => [reading.minute, of(reading)] as const),
      })),
    ),
  })
  return {
    name: "soak",
    at: new Date(),
    summary: `${perSecond} events a second, half of saturation, for ${minutes} minutes: paid by known customers, paid by new ones, and failed, in turn.`,
    tables: [
      {
        title: "From beginning to end.",
        note: "Medians of the first and the last quarter.",
        rows: [["", "first", "last", "last ÷ first", "highest"], ...rows],
      },
    ],
    charts: [
      chart("memory", "Memory during the soak", "MiB", [
        { name: "resident", of: ({ residentBytes: bytes }) => (bytes ?? 0) / MIB },
        { name: "heap after a collection", of: ({ heapBytes: bytes }) => bytes / MIB },
      ]),
      chart("latency", "Latency during the soak", "ms", [
        { name: "p99", of: ({ p99Ms }) => p99Ms },
        { name: "p50", of: ({ p50Ms }) => p50Ms },
      ]),
    ],
    data: { perSecond, minutes, readings },
  }
}
