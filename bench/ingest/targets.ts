/** The Workers that are compared, in one world: one Postgres behind one proxy, and a workerd for each. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import pg from "pg"
import { prepareDatabase } from "../../local/database.ts"
import { startWorld, type World } from "../../local/world.ts"
import { type Bundle, buildBundle } from "../support/bundle.ts"
import { cpuOf } from "../support/cpu.ts"
import { type ServedWorker, serveBundle } from "../support/workerd.ts"
import { BARE_TABLE } from "./bare/store.ts"
import type { BenchmarkTarget } from "./measure.ts"
import type { TargetName } from "./scenarios.ts"

const COMPANY_ID = "bench_company"

/** In the order in which they alternate. */
const ENTRIES: readonly { readonly name: TargetName; readonly entry?: string }[] = [
  { name: "bare", entry: fileURLToPath(new URL("./bare/insert.ts", import.meta.url)) },
  { name: "bare-signed", entry: fileURLToPath(new URL("./bare/signed.ts", import.meta.url)) },
  { name: "churn-saver" },
]

export interface BenchmarkRun {
  readonly world: World
  readonly targets: readonly BenchmarkTarget[]
  readonly bundles: Readonly<Record<TargetName, Bundle>>
  /** Ends every process that was started. May be called twice. */
  stop(): Promise<void>
}

/** Builds and starts everything in `dataDir`. If one part fails to start, the others are stopped. */
export async function startBenchmark(dataDir: string): Promise<BenchmarkRun> {
  const bundleOf = async ({ name, entry }: (typeof ENTRIES)[number]): Promise<[TargetName, Bundle]> => {
    const outdir = join(dataDir, "bundles", name)
    mkdirSync(outdir, { recursive: true, mode: 0o700 })
    return [name, await buildBundle(outdir, entry)]
  }
  const built: [TargetName, Bundle][] = []
  for (const entry of ENTRIES) built.push(await bundleOf(entry))
  const bundles = Object.fromEntries(built) as Record<TargetName, Bundle>

  const workers: ServedWorker[] = []
  const targetOf = (name: TargetName, worker: ServedWorker): BenchmarkTarget => {
    workers.push(worker)
    return { name, url: worker.url, cpu: cpuOf(worker.pid) }
  }

  const ours: BenchmarkTarget[] = []
  const world = await startWorld({
    dataDir: join(dataDir, "world"),
    fresh: true,
    controlPort: 0,
    // One company and one address send all of the load; rate limits are not what is measured.
    vars: {
      DEFAULT_COMPANY_ID: COMPANY_ID,
      RATE_LIMIT_WEBHOOKS_PER_MINUTE: "1000000",
      RATE_LIMIT_BAD_PER_MINUTE: "1000000",
    },
    async migrate(adminUrl) {
      await prepareDatabase(adminUrl, COMPANY_ID)
      await runSql(adminUrl, BARE_TABLE)
    },
    emptyDatabase: async () => {},
    async startWorker({ CLOCK_URL: _, ...vars }, { port }) {
      // Without CLOCK_URL the Worker uses the platform's clock, as when deployed.
      const worker = await serveBundle(bundles["churn-saver"], vars, port)
      ours.push(targetOf("churn-saver", worker))
      return worker
    },
  })
  // Sending nudges is not measured: QStash takes messages and delivers none.
  world.qstash.hold()

  async function stop(): Promise<void> {
    await Promise.all(workers.map((worker) => worker.stop()))
    await world.stop()
  }

  try {
    const bare: BenchmarkTarget[] = []
    for (const { name } of ENTRIES.filter(({ entry }) => entry !== undefined)) {
      bare.push(targetOf(name, await serveBundle(bundles[name], bareVars(world))))
    }
    return { world, bundles, targets: [...bare, ...ours], stop }
  } catch (cause) {
    await stop()
    throw cause
  }
}

const bareVars = ({ vars }: World): Record<string, string> =>
  Object.fromEntries(
    ["DATABASE_URL", "DATABASE_FETCH_ENDPOINT", "STRIPE_WEBHOOK_SECRET"].map((name) => [name, vars[name] ?? ""]),
  )

/** Runs statements as the database's administrator, bypassing the proxy, which counts requests. */
export async function runSql(adminUrl: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}
