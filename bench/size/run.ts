/** `npm run bench -- size`: the bundle, its start, and the memory that it takes, beside a bare Worker. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { BARE_TABLE } from "../ingest/bare/store.ts"
import { measureLoad } from "../load/measure.ts"
import { type Benchmark, positive, progress, withStarted } from "../support/benchmark.ts"
import { type Bundle, buildBundle } from "../support/bundle.ts"
import { barChart } from "../support/chart.ts"
import { preciseCpuMs } from "../support/cpu.ts"
import { heapBytes, residentBytes } from "../support/memory.ts"
import { type BenchmarkReport, digitsOf, spreadOf, withRange } from "../support/report.ts"
import { runSql } from "../support/sql.ts"
import { type ServedWorker, serveBundle } from "../support/workerd.ts"
import { type BenchmarkWorld, startBenchmarkWorld } from "../support/world.ts"
import { type BundlePart, bundleParts } from "./modules.ts"

const BARE_ENTRY = fileURLToPath(new URL("../ingest/bare/insert.ts", import.meta.url))
const CONNECTIONS = 10

/** Memory is read after this many requests, and at the end. */
const FIRST_REQUESTS = 1_000

/** Parts of the bundle that are listed; the others are summed up. */
const PARTS_SHOWN = 24

export const size: Benchmark = {
  name: "size",
  help: `  size       the bundle by part, CPU of a start, and memory after many requests, beside a bare Worker
    --requests N       requests at the end (100000)
    --starts N         starts of each Worker (10)
`,
  run: benchSize,
}

interface WorkerSize {
  readonly name: string
  readonly bundle: Bundle
  readonly startCpuMs: readonly (number | null)[]
  readonly memory: readonly {
    readonly requests: number
    readonly residentBytes: number | null
    readonly heapBytes: number
  }[]
}

async function benchSize(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({
    args,
    options: {
      requests: { type: "string", default: isQuick ? "2000" : "100000" },
      starts: { type: "string", default: isQuick ? "2" : "10" },
    },
  })
  const [requests, starts] = [positive("requests", values.requests), positive("starts", values.starts)]
  const { parts, workers } = await withStarted(
    async (dataDir) => {
      const prepare = async (adminUrl: string): Promise<void> => void (await runSql(adminUrl, BARE_TABLE))
      const started = await startBenchmarkWorld({ dataDir, workerd: { isInspected: true }, prepare })
      const outdir = join(dataDir, "bare")
      mkdirSync(outdir, { recursive: true, mode: 0o700 })
      return { ...started, bare: await buildBundle(outdir, BARE_ENTRY) }
    },
    async (started) => {
      const { world, bare, bundle, worker } = started
      const bareWorker = await serveBundle(bare, world.vars, { isInspected: true })
      try {
        const workers = [
          {
            ...(await memoryOf(started, "bare", bareWorker, requests)),
            bundle: bare,
            startCpuMs: await startCpu(bare, starts),
          },
          {
            ...(await memoryOf(started, "churn-saver", worker, requests)),
            bundle,
            startCpuMs: await startCpu(bundle, starts),
          },
        ]
        return { workers, parts: await bundleParts(bundle) }
      } finally {
        await bareWorker.stop()
      }
    },
  )
  return reportOf(parts, workers)
}

/** CPU from the start of the process to its first answer, which has evaluated the bundle. */
async function startCpu(bundle: Bundle, starts: number): Promise<readonly (number | null)[]> {
  const measured: (number | null)[] = []
  for (let start = 0; start < starts; start++) {
    const worker = await serveBundle(bundle, {})
    measured.push(preciseCpuMs(worker.pid))
    await worker.stop()
  }
  return measured
}

async function memoryOf(
  started: BenchmarkWorld,
  name: string,
  worker: ServedWorker,
  requests: number,
): Promise<Pick<WorkerSize, "name" | "memory">> {
  const memory: WorkerSize["memory"][number][] = []
  let sent = 0
  for (const wanted of [FIRST_REQUESTS, requests]) {
    progress(`${name}: ${wanted} requests`)
    const pattern = { kind: "burst", count: wanted - sent, connections: CONNECTIONS } as const
    const source = { type: "invoice.paid", customers: "fresh", isSigned: true } as const
    await measureLoad(started, { url: worker.url, cpu: null }, { source, pattern, expectedStatus: 200 })
    sent = wanted
    const heap = await heapBytes(worker)
    memory.push({ requests: wanted, residentBytes: residentBytes(worker.pid), heapBytes: heap })
  }
  return { name, memory }
}

const kib = (bytes: number): string => (bytes / 1024).toFixed(1)
const mib = (bytes: number | null): string => digitsOf(bytes && bytes / 1024 ** 2, 1)

function reportOf(parts: readonly BundlePart[], workers: readonly WorkerSize[]): BenchmarkReport {
  const shown = parts.slice(0, PARTS_SHOWN)
  const rest = parts.slice(PARTS_SHOWN)
  const sum = (of: "bytes" | "gzipBytes") => rest.reduce((total, part) => total + part[of], 0)
  const listed =
    rest.length === 0
      ? shown
      : [...shown, { name: `${rest.length} others`, bytes: sum("bytes"), gzipBytes: sum("gzipBytes") }]
  const [first] = workers
  const counts = first?.memory.map(({ requests }) => requests.toLocaleString("en")) ?? []
  const title = "The bundle by part, KiB compressed"
  return {
    name: "size",
    at: new Date(),
    summary: "Both Workers in a workerd of their own; the heap is what is alive after a collection.",
    tables: [
      {
        title: "Workers.",
        rows: [
          [
            "",
            "bundle KiB",
            "gzip KiB",
            "CPU ms of a start",
            ...counts.flatMap((count) => [`resident MiB after ${count}`, `heap MiB after ${count}`]),
          ],
          ...workers.map(({ name, bundle, startCpuMs, memory }) => [
            name,
            kib(bundle.bytes),
            kib(bundle.gzipBytes),
            withRange(spreadOf(startCpuMs), 0),
            ...memory.flatMap((one) => [mib(one.residentBytes), mib(one.heapBytes)]),
          ]),
        ],
      },
      {
        title: "Parts of the bundle.",
        note: "Minified; compressed each alone.",
        rows: [
          ["part", "KiB", "gzip KiB"],
          ...listed.map(({ name, bytes, gzipBytes }) => [name, kib(bytes), kib(gzipBytes)]),
        ],
      },
    ],
    charts: [
      {
        name: "parts",
        title,
        svg: barChart(
          title,
          "KiB",
          listed.map(({ name, gzipBytes }) => ({ name, value: gzipBytes / 1024 })),
        ),
      },
    ],
    data: { parts, workers },
  }
}
