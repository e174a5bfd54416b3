/**
 * `npm run bench -- ingest`: what a webhook costs here, beside what it costs a Worker that does next to nothing. The
 * Workers take turns within one run, so that a busy machine is busy for all of them, and the ratios are made turn by turn.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { cpuOfProcessTree } from "../support/cpu.ts"
import { type IngestMeasurement, type MeasureOptions, measure } from "./measure.ts"
import { printReport, type ScenarioResult } from "./report.ts"
import { SCENARIOS, type Scenario, type SubjectName } from "./scenarios.ts"
import { type BenchmarkRun, runSql, startBenchmark } from "./targets.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

export async function benchIngest(args: string[]): Promise<void> {
  const options = readOptions(args)
  const dataDir = join(ROOT, ".local", `bench-${process.pid}`)
  const starting = startBenchmark(dataDir)
  const cleanUp = async (): Promise<void> => {
    await starting.then(({ stop }) => stop()).catch(() => {}) // what did not start has stopped itself
    rmSync(dataDir, { recursive: true, force: true })
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void cleanUp().then(() => process.exit(1)))
  }
  try {
    const contest = await starting
    const results = await runScenarios(contest, options)
    printReport({ ...options, results, bundles: contest.bundles })
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

async function runScenarios({ world, subjects }: BenchmarkRun, options: Options): Promise<ScenarioResult[]> {
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
    for (const subject of subjects) await measure(subject, scenario, tag(), { ...on, seconds: scenario.warmUpSeconds })
    const figures: Record<SubjectName, IngestMeasurement[]> = { bare: [], "bare-signed": [], "churn-saver": [] }
    for (let round = 1; round <= rounds; round++) {
      for (const subject of subjects) {
        process.stderr.write(`${scenario.name}, round ${round} of ${rounds}, ${subject.name}\n`)
        figures[subject.name].push(await measure(subject, scenario, tag(), on))
      }
    }
    results.push({ scenario, figures })
    await expectAllDone(world.postgres().adminUrl)
  }
  return results
}

/** Work that was left to the sweeper would be work that was not measured. */
async function expectAllDone(adminUrl: string): Promise<void> {
  const { rows } = await runSql(
    adminUrl,
    "SELECT count(*)::integer AS left FROM webhook_events WHERE status <> 'processed'",
  )
  const left: unknown = rows[0]?.left
  if (left !== 0) throw new Error(`${String(left)} events were accepted and not finished`)
}
