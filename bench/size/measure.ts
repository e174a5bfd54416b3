/** What a start and the memory of the Worker cost, beside a bare Worker. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Bundle, buildBundle } from "../../local/processes/bundle.ts"
import { type ServedWorker, serveBundle } from "../../local/processes/workerd.ts"
import { BARE_TABLE } from "../ingest/bare/store.ts"
import { measureLoad } from "../load/measure.ts"
import { progress, withStarted } from "../support/benchmark.ts"
import { preciseCpuMs } from "../support/cpu.ts"
import { heapBytes, residentBytes } from "../support/memory.ts"
import { runSql } from "../support/sql.ts"
import { type BenchmarkWorld, startBenchmarkWorld } from "../support/world.ts"

const BARE_ENTRY = fileURLToPath(new URL("../ingest/bare/insert.ts", import.meta.url))
const CONNECTIONS = 10

/** The figures of one Worker. */
export interface WorkerSize {
  readonly name: string
  readonly bundle: Bundle
  readonly startCpuMs: readonly (number | null)[]
  readonly memory: readonly {
    readonly requests: number
    readonly residentBytes: number | null
    readonly heapBytes: number
  }[]
}

/** Measures a bare Worker, which only inserts the body, and ours: their starts, and their memory after so many requests each. */
export function measureWorkers(
  starts: number,
  requests: readonly number[],
): Promise<{ readonly bare: WorkerSize; readonly own: WorkerSize }> {
  return withStarted(
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
        const of = async (name: string, served: ServedWorker, its: Bundle): Promise<WorkerSize> => ({
          name,
          bundle: its,
          memory: await memoryOf(started, name, served, requests),
          startCpuMs: await startCpu(its, starts),
        })
        return { bare: await of("bare", bareWorker, bare), own: await of("churn-saver", worker, bundle) }
      } finally {
        await bareWorker.stop()
      }
    },
  )
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
  requests: readonly number[],
): Promise<WorkerSize["memory"]> {
  const memory: WorkerSize["memory"][number][] = []
  let sent = 0
  for (const wanted of requests) {
    progress(`${name}: ${wanted} requests`)
    const pattern = { kind: "burst", count: wanted - sent, connections: CONNECTIONS } as const
    const source = { type: "invoice.paid", customers: "fresh", isSigned: true } as const
    await measureLoad(started, { url: worker.url, cpu: null }, { source, pattern, expectedStatus: 200 })
    sent = wanted
    const heap = await heapBytes(worker)
    memory.push({ requests: wanted, residentBytes: residentBytes(worker.pid), heapBytes: heap })
  }
  return memory
}
