/**
 * `npm run bench -- ingest`: the cost of a webhook here and in a minimal Worker. The Workers alternate within one run, so
 * that a busy machine affects all of them, and ratios are made round by round.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { cpuOfProcessTree } from "../support/cpu.ts"
import { type IngestMeasurement, type MeasureOptions, measure } from "./measure.ts"
import { printReport, type ScenarioResult } from "./report.ts"
import { SCENARIOS, type Scenario, type TargetName } from "./scenarios.ts"
import { type BenchmarkRun, runSql, startBenchmark } from "./targets.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

export async function benchIngest(args: string[]): Promise<void> {
  const options = readOptions(args)
  const dataDir = join(ROOT, ".local", `bench-${process.pid}`)
  const starting = startBenchmark(dataDir)
  const cleanUp = async (): Promise<void> => {
    await starting.then(({ stop }) => stop()).catch(() => {}) // a world that failed to start has stopped itself
    rmSync(dataDir, { recursive: true, force: true })
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void cleanUp().then(() => process.exit(1)))
  }
  try {
    const run = await starting
    const results = await runScenarios(run, options)
    printReport({ ...options, results, bundles: run.bundles })
  } finally {
    await cleanUp()
  }
}

interface Options {
  readonly seconds: number
  readonly rounds: number
  readonly connections: number
  readonly scenarios: readonly Scenario[]
  readonly isJson: boolean
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "3" },
      connections: { type: "string", default: "10" },
      scenario: { type: "string" },
      json: { type: "boolean", default: false },
    },
  })
  const [seconds, rounds, connections] = [values.seconds, values.rounds, values.connections].map(Number)
  const scenarios = SCENARIOS.filter(({ name }) => values.scenario === undefined || name === values.scenario)
  if (!(Number(seconds) > 0 && Number(rounds) >= 1 && Number(connections) >= 1) || scenarios.length === 0) {
    throw new Error("--seconds, --rounds and --connections take positive numbers, --scenario the name of one")
  }
  return {
    seconds: Number(seconds),
    rounds: Number(rounds),
    connections: Number(connections),
    scenarios,
    isJson: values.json,
  }
}

async function runScenarios({ world, targets }: BenchmarkRun, options: Options): Promise<ScenarioResult[]> {
  const { connections, seconds, rounds, scenarios } = options
  const secret = world.vars.STRIPE_WEBHOOK_SECRET ?? ""
  const on: MeasureOptions = {
    world,
    postgresCpu: cpuOfProcessTree(world.postgres().pid),
    connections,
    seconds,
    secret,
  }
  let serial = 0
  const tag = (): string => `${(serial++).toString(36).padStart(4, "0")}x`

  const results: ScenarioResult[] = []
  for (const scenario of scenarios) {
    for (const target of targets) await measure(target, scenario, tag(), { ...on, seconds: scenario.warmUpSeconds })
    const measurements: Record<TargetName, IngestMeasurement[]> = { bare: [], "bare-signed": [], "churn-saver": [] }
    for (let round = 1; round <= rounds; round++) {
      for (const target of targets) {
        process.stderr.write(`${scenario.name}, round ${round} of ${rounds}, ${target.name}\n`)
        measurements[target.name].push(await measure(target, scenario, tag(), on))
      }
    }
    results.push({ scenario, measurements })
    await expectAllProcessed(world.postgres().adminUrl)
  }
  return results
}

/** An event that is left to `sweep` would not be measured. */
async function expectAllProcessed(adminUrl: string): Promise<void> {
  const { rows } = await runSql(
    adminUrl,
    "SELECT count(*)::integer AS unfinished FROM webhook_events WHERE status <> 'processed'",
  )
  const unfinished: unknown = rows[0]?.unfinished
  if (unfinished !== 0) throw new Error(`${String(unfinished)} events were accepted and not processed`)
}
