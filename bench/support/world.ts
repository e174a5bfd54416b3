/** The local world with the Worker as it is deployed: its bundle in a workerd of its own, and the platform's clock. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { prepareDatabase } from "../../local/database.ts"
import { type Bundle, buildBundle } from "../../local/processes/bundle.ts"
import { type ServedWorker, serveBundle, type WorkerdOptions } from "../../local/processes/workerd.ts"
import { startWorld, type World } from "../../local/world.ts"
import type { Stoppable } from "./benchmark.ts"
import { type CpuClock, cpuOf, cpuOfProcessTree } from "./cpu.ts"
import { runSql } from "./sql.ts"

/** One company and one address send all of the load. */
export const COMPANY_ID = "bench_company"

export interface BenchmarkWorld extends Stoppable {
  readonly world: World
  readonly bundle: Bundle
  readonly worker: ServedWorker
  readonly adminUrl: string
  readonly secret: string
  /** Null where the system does not report it. */
  readonly workerCpu: CpuClock | null
  readonly postgresCpu: CpuClock | null
}

export interface BenchmarkWorldOptions {
  readonly dataDir: string
  readonly workerd?: WorkerdOptions
  /** Prepares the database further, as its administrator. */
  readonly prepare?: (adminUrl: string) => Promise<void>
  /** The address of Postgres' proxy that the Worker gets in place of this one. */
  readonly routeTo?: (databaseEndpoint: string) => Promise<string>
}

/** Rate limits are not what is measured. */
const VARS = {
  DEFAULT_COMPANY_ID: COMPANY_ID,
  RATE_LIMIT_WEBHOOKS_PER_MINUTE: "1000000",
  RATE_LIMIT_BAD_PER_MINUTE: "1000000",
  RATE_LIMIT_API_PER_MINUTE: "1000000",
}

/** Builds and starts everything in `dataDir`. QStash takes messages and delivers none until it is released. */
export async function startBenchmarkWorld({
  dataDir,
  workerd,
  prepare,
  routeTo = async (endpoint) => endpoint,
}: BenchmarkWorldOptions): Promise<BenchmarkWorld> {
  const outdir = join(dataDir, "bundle")
  mkdirSync(outdir, { recursive: true, mode: 0o700 })
  const bundle = await buildBundle(outdir)
  const workers: ServedWorker[] = []
  const world = await startWorld({
    dataDir: join(dataDir, "world"),
    fresh: true,
    controlPort: 0,
    vars: VARS,
    async migrate(adminUrl) {
      await prepareDatabase(adminUrl, COMPANY_ID)
      await prepare?.(adminUrl)
    },
    emptyDatabase: async () => {},
    async startWorker({ CLOCK_URL: _, ...vars }, { port }) {
      // Without CLOCK_URL the Worker uses the platform's clock, as when deployed.
      const endpoint = await routeTo(vars.DATABASE_FETCH_ENDPOINT ?? "")
      const served = await serveBundle(bundle, { ...vars, DATABASE_FETCH_ENDPOINT: endpoint }, { ...workerd, port })
      workers.push(served)
      return served
    },
  })
  world.qstash.hold()
  const [worker] = workers
  if (worker === undefined) throw new Error("the world started without its Worker")
  return {
    world,
    bundle,
    worker,
    adminUrl: world.postgres().adminUrl,
    secret: world.vars.STRIPE_WEBHOOK_SECRET ?? "",
    workerCpu: cpuOf(worker.pid),
    postgresCpu: cpuOfProcessTree(world.postgres().pid),
    stop: () => world.stop(),
  }
}

/** Work after the answers counts as finished after this long without a request to Postgres. */
const IDLE_MS = 300
const POLL_MS = 10

/** Waits until there are no more requests to Postgres; returns the time until the last one. */
export async function untilIdle({ stats }: World): Promise<number> {
  const startedAt = performance.now()
  let lastAt = startedAt
  let requests = stats.all().postgres
  while (performance.now() - lastAt < IDLE_MS) {
    await sleep(POLL_MS)
    const { postgres } = stats.all()
    if (postgres === requests) continue
    requests = postgres
    lastAt = performance.now()
  }
  return lastAt - startedAt
}

/** Throws when an accepted event is not processed: what is left to `sweep` would not be measured. */
export async function expectAllProcessed(adminUrl: string): Promise<void> {
  const [row] = await runSql<{ unfinished: number }>(
    adminUrl,
    "SELECT count(*)::integer AS unfinished FROM webhook_events WHERE status <> 'processed'",
  )
  if (row?.unfinished !== 0) throw new Error(`${row?.unfinished} events were accepted and not processed`)
}
