/** The Workers that are compared, in one world: same Postgres, same proxy in front of it, a workerd each. */
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
import type { SubjectName } from "./scenarios.ts"

const COMPANY_ID = "bench_company"

/** The order in which they take turns. */
const ENTRIES: readonly { readonly name: SubjectName; readonly entry?: string }[] = [
  { name: "bare", entry: fileURLToPath(new URL("./bare/insert.ts", import.meta.url)) },
  { name: "bare-signed", entry: fileURLToPath(new URL("./bare/signed.ts", import.meta.url)) },
  { name: "churn-saver" },
]

export interface BenchmarkRun {
  readonly world: World
  readonly subjects: readonly BenchmarkTarget[]
  readonly bundles: Readonly<Record<SubjectName, Bundle>>
  /** Ends every process that was started. May be called twice. */
  stop(): Promise<void>
}

/** Builds and starts everything in `dataDir`. What was started is stopped again when a later part fails. */
export async function startBenchmark(dataDir: string): Promise<BenchmarkRun> {
  const bundleOf = async ({ name, entry }: (typeof ENTRIES)[number]): Promise<[SubjectName, Bundle]> => {
    const outdir = join(dataDir, "bundles", name)
    mkdirSync(outdir, { recursive: true, mode: 0o700 })
    return [name, await buildBundle(outdir, entry)]
  }
  const built: [SubjectName, Bundle][] = []
  for (const entry of ENTRIES) built.push(await bundleOf(entry))
  const bundles = Object.fromEntries(built) as Record<SubjectName, Bundle>

  const workers: ServedWorker[] = []
  const subjectOf = (name: SubjectName, worker: ServedWorker): BenchmarkTarget => {
    workers.push(worker)
    return { name, url: worker.url, cpu: cpuOf(worker.pid) }
  }

  const ours: BenchmarkTarget[] = []
  const world = await startWorld({
    dataDir: join(dataDir, "world"),
    fresh: true,
    controlPort: 0,
    // One company and one address send all of the load; what is measured is the work, not where it is refused.
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
      // Without CLOCK_URL the Worker asks the platform for the time, as it does when deployed.
      const worker = await serveBundle(bundles["churn-saver"], vars, port)
      ours.push(subjectOf("churn-saver", worker))
      return worker
    },
  })
  // Sending what was planned is another benchmark's business: QStash takes messages and delivers none.
  world.qstash.hold()

  async function stop(): Promise<void> {
    await Promise.all(workers.map((worker) => worker.stop()))
    await world.stop()
  }

  try {
    const bare: BenchmarkTarget[] = []
    for (const { name } of ENTRIES.filter(({ entry }) => entry !== undefined)) {
      bare.push(subjectOf(name, await serveBundle(bundles[name], bareVars(world))))
    }
    return { world, bundles, subjects: [...bare, ...ours], stop }
  } catch (cause) {
    await stop()
    throw cause
  }
}

const bareVars = ({ vars }: World): Record<string, string> =>
  Object.fromEntries(
    ["DATABASE_URL", "DATABASE_FETCH_ENDPOINT", "STRIPE_WEBHOOK_SECRET"].map((name) => [name, vars[name] ?? ""]),
  )

/** Runs statements as the database's administrator, past the proxy that counts. */
export async function runSql(adminUrl: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}
