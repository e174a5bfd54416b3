/** `npm run bench -- size`: the bundle, its start, and the memory that it takes, beside a bare Worker. */
import { parseArgs } from "node:util"
import { type Benchmark, positive } from "../support/benchmark.ts"
import { barChart } from "../support/chart.ts"
import { type BenchmarkReport, digitsOf, spreadOf, withRange } from "../support/report.ts"
import { measureWorkers, type WorkerSize } from "./measure.ts"
import { type BundlePart, bundleParts } from "./modules.ts"

/** Memory is read after this many requests, and at the end. */
const FIRST_REQUESTS = 1_000

/** Parts of the bundle that are listed; the others are summed up. */
const PARTS_SHOWN = 24

export const size: Benchmark = {
  name: "size",
  help: `  size       the bundle by part, CPU of a start, and memory after many requests, beside a bare Worker
    --requests N       requests at the end, more than 1000 (100000)
    --starts N         starts of each Worker (10)
`,
  run: benchSize,
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
  if (requests <= FIRST_REQUESTS) throw new Error(`--requests must be more than ${FIRST_REQUESTS}`)
  const { bare, own } = await measureWorkers(starts, [FIRST_REQUESTS, requests])
  return reportOf(await bundleParts(own.bundle), [bare, own])
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
