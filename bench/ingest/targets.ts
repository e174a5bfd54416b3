/** What is compared, in one world: one Postgres, workerd for each Worker, and a Node process for each server with TCP. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Bundle, buildBundle } from "../../local/processes/bundle.ts"
import { serveBundle } from "../../local/processes/workerd.ts"
import type { Stoppable } from "../support/benchmark.ts"
import { type CpuClock, cpuOf } from "../support/cpu.ts"
import { startDelayedRoute } from "../support/delay.ts"
import { serveScript } from "../support/node-process.ts"
import { runSql } from "../support/sql.ts"
import { type BenchmarkWorld, startBenchmarkWorld } from "../support/world.ts"
import { BARE_TABLE } from "./bare/store.ts"
import { runMigrations } from "./node/engine.ts"
import type { TargetName } from "./scenarios.ts"

/** A server that is measured. */
export interface BenchmarkTarget extends Stoppable {
  readonly name: TargetName
  readonly url: string
  readonly cpu: CpuClock | null
}

const OURS: TargetName = "churn-saver"

const BARE: readonly { readonly name: TargetName; readonly entry: URL }[] = [
  { name: "bare", entry: new URL("./bare/insert.ts", import.meta.url) },
  { name: "bare-signed", entry: new URL("./bare/signed.ts", import.meta.url) },
]

const NODE: readonly { readonly name: TargetName; readonly script: URL }[] = [
  { name: "node-pg", script: new URL("./node/plain.ts", import.meta.url) },
  { name: "sync-engine", script: new URL("./node/sync-engine.ts", import.meta.url) },
]

export interface IngestWorld extends BenchmarkWorld {
  readonly bareBundles: ReadonlyMap<TargetName, Bundle>
  /** In the order in which they alternate; without a delay between them and Postgres. */
  readonly targets: readonly BenchmarkTarget[]
}

/** Builds and starts everything in `dataDir`. If one part fails to start, the others are stopped. */
export async function startIngestWorld(dataDir: string): Promise<IngestWorld> {
  const bareBundles = new Map<TargetName, Bundle>()
  for (const { name, entry } of BARE) {
    const outdir = join(dataDir, "bundles", name)
    mkdirSync(outdir, { recursive: true, mode: 0o700 })
    bareBundles.set(name, await buildBundle(outdir, fileURLToPath(entry)))
  }
  const started = await startBenchmarkWorld({ dataDir, prepare: prepareTables })
  try {
    const others = await startOthers(bareBundles, started.world.vars, started.adminUrl)
    const ours = { name: OURS, url: started.worker.url, cpu: started.workerCpu, stop: async () => {} }
    const stop = async (): Promise<void> => {
      await Promise.all(others.map((target) => target.stop()))
      await started.stop()
    }
    return { ...started, bareBundles, targets: [...others, ours], stop }
  } catch (cause) {
    await started.stop()
    throw cause
  }
}

async function prepareTables(adminUrl: string): Promise<void> {
  await runSql(adminUrl, BARE_TABLE)
  await runMigrations({ databaseUrl: adminUrl, schema: "stripe" })
  // It reports a failure to its logger only.
  await runSql(adminUrl, "SELECT FROM stripe.invoices")
}

type Vars = Readonly<Record<string, string>>

async function startOthers(
  bundles: IngestWorld["bareBundles"],
  vars: Vars,
  databaseUrl: string,
): Promise<readonly BenchmarkTarget[]> {
  const targets: BenchmarkTarget[] = []
  const add = (name: TargetName, { url, pid, stop }: Stoppable & { readonly url: string; readonly pid: number }) =>
    void targets.push({ name, url, cpu: cpuOf(pid), stop })
  try {
    for (const { name } of BARE) add(name, await serveBundle(bundleOf(bundles, name), bareVars(vars)))
    const env = { ...nodeVars(vars), DATABASE_URL: databaseUrl }
    for (const { name, script } of NODE) add(name, await serveScript(script, env))
    return targets
  } catch (cause) {
    await Promise.all(targets.map((target) => target.stop()))
    throw cause
  }
}

/** All targets once more, with a network of this round trip between each and Postgres. */
export async function startDelayed(
  started: IngestWorld,
  roundTripMs: number,
): Promise<Stoppable & { readonly targets: readonly BenchmarkTarget[] }> {
  const { adminUrl, world, bareBundles, bundle } = started
  const toProxy = new URL(world.vars.DATABASE_FETCH_ENDPOINT ?? "")
  const toPostgres = new URL(adminUrl)
  const routes = [
    await startDelayedRoute(Number(toProxy.port), roundTripMs),
    await startDelayedRoute(Number(toPostgres.port), roundTripMs),
  ] as const
  const stopRoutes = async (): Promise<void> => void (await Promise.all(routes.map((route) => route.stop())))
  try {
    toProxy.port = String(routes[0].port)
    toPostgres.port = String(routes[1].port)
    const { CLOCK_URL: _, ...ownVars } = world.vars
    const vars = { ...ownVars, DATABASE_FETCH_ENDPOINT: toProxy.href }
    const others = await startOthers(bareBundles, vars, toPostgres.href)
    const ours = await serveBundle(bundle, vars)
    const targets = [...others, { name: OURS, url: ours.url, cpu: cpuOf(ours.pid), stop: ours.stop }]
    const stop = async (): Promise<void> => {
      await Promise.all(targets.map((target) => target.stop()))
      await stopRoutes()
    }
    return { targets, stop }
  } catch (cause) {
    await stopRoutes()
    throw cause
  }
}

function bundleOf(bundles: IngestWorld["bareBundles"], name: TargetName): Bundle {
  const bundle = bundles.get(name)
  if (bundle === undefined) throw new Error(`${name} was not built`)
  return bundle
}

const pick = (vars: Vars, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, vars[name] ?? ""]))

const bareVars = (vars: Vars) => pick(vars, ["DATABASE_URL", "DATABASE_FETCH_ENDPOINT", "STRIPE_WEBHOOK_SECRET"])
const nodeVars = (vars: Vars) => pick(vars, ["STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"])
