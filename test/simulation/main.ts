/** `npm run simulate`. See HELP. */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { runCrashPoints, runInterleavings, runMutants, runOrders, runRaceMutants, runSchedules } from "./commands.ts"
import type { ScheduleResult } from "./interleavings/explore.ts"
import { RACES } from "./interleavings/races.ts"
import { openPool, type Pool } from "./processes/pool.ts"
import { Progress } from "./progress.ts"
import {
  crashTable,
  interleavingTable,
  mutantTable,
  orderTable,
  raceMutantTable,
  runText,
  scheduleTable,
} from "./report.ts"
import type { Run } from "./run.ts"

const HELP = `npm run simulate -- [options]
  Runs the deployed bundle in a simulated world: a virtual clock, a real Postgres, local replacements, and faults.
  --runs N      so many schedules (2000 unless another option selects something else), from --from (1) on
  --seed N      one schedule with its trace; when it fails, the smallest version of it that still fails
  --crashes     every flow at every crash point
  --orders      every order of every scenario
  --mutants     every guard removed, and what noticed it
  --only PATTERN   only flows, scenarios, mutants and races whose name matches
  --interleavings N   concurrent sessions within database functions: every race (see test/simulation/interleavings)
                in all schedules with one preemption, and in N random schedules over all races
  --preemptions N     all schedules with up to N preemptions instead of one; 0 for none
  --interleaving "RACE: SCHEDULE"   one of them, by the name in a failure
  --workers N   number of processes (default: one per processor)
  --json        the results as JSON on standard output
  Progress goes to standard error. The exit code is 1 when an invariant does not hold or a mutant survives.
`

const RUNS_BY_DEFAULT = "2000"

const { values } = parseArgs({
  options: {
    runs: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    crashes: { type: "boolean", default: false },
    orders: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    interleavings: { type: "string" },
    preemptions: { type: "string", default: "1" },
    interleaving: { type: "string" },
    workers: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}

const isOtherCommand = values.crashes || values.orders || values.mutants || values.seed !== undefined
const isOther = isOtherCommand || values.interleavings !== undefined || values.interleaving !== undefined
const pool = await openPool(
  values.seed === undefined && values.interleaving === undefined ? wholeNumber("workers", values.workers) : 1,
)
const results: Record<string, unknown> = {}
let isOk = true
try {
  if (values.seed !== undefined) await oneSeed(pool, wholeNumber("seed", values.seed))
  if (values.runs !== undefined || !isOther) {
    const runs = wholeNumber("runs", values.runs ?? RUNS_BY_DEFAULT)
    const tally = await runSchedules(pool, runs, wholeNumber("from", values.from), progress("schedules"))
    addResult("schedules", tally, scheduleTable(tally), tally.failed.length === 0)
  }
  if (values.crashes) {
    const reports = await runCrashPoints(pool, values.only, progress("flows"))
    addResult(
      "crashes",
      reports,
      crashTable(reports),
      reports.every(({ faults }) => faults.length === 0),
    )
  }
  if (values.orders) {
    const reports = await runOrders(pool, values.only, progress("scenarios"))
    addResult(
      "orders",
      reports,
      orderTable(reports),
      reports.every(({ faults }) => faults.length === 0),
    )
  }
  if (values.interleavings !== undefined) {
    const preemptions = Number(values.preemptions)
    const random = wholeNumber("interleavings", values.interleavings)
    const reports = await runInterleavings(pool, { preemptions, random, only: values.only }, progress("interleavings"))
    addResult(
      "interleavings",
      reports,
      interleavingTable(reports),
      reports.every(({ failed }) => failed.length === 0),
    )
  }
  if (values.interleaving !== undefined) {
    const [name = "", schedule = ""] = values.interleaving.split(/: (?=[^:]*$)/)
    const race = RACES.findIndex((one) => one.name === name)
    if (race < 0) throw new Error(`there is no race "${name}"`)
    const result = await pool.do<ScheduleResult>({ kind: "interleaving", race, schedule })
    addResult("interleaving", result, JSON.stringify(result, null, 2), result.violations.length === 0)
  }
  if (values.mutants) {
    const races = await runRaceMutants(pool, values.only, progress("race mutants"))
    addResult(
      "raceMutants",
      races,
      raceMutantTable(races),
      races.every(({ by }) => by !== null),
    )
    const kills = await runMutants(pool, values.only, progress("mutants"))
    addResult(
      "mutants",
      kills,
      mutantTable(kills),
      kills.every(({ by }) => by !== null),
    )
  }
} finally {
  await pool.close()
}
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`)
process.exitCode = isOk ? 0 : 1

async function oneSeed(workers: Pool, seed: number): Promise<void> {
  const found = await workers.do<{ readonly run: Run; readonly smallest: Run }>({ kind: "seed", seed })
  addResult("seed", found, runText(found.run, found.smallest), found.run.violations.length === 0)
}

function addResult(name: string, result: unknown, text: string, isPassed: boolean): void {
  results[name] = result
  isOk &&= isPassed
  if (!values.json) process.stdout.write(`${text}\n`)
}

function progress(what: string) {
  const line = new Progress(what)
  return line.show.bind(line)
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name} expects a whole number from 1 on`)
  return Number(text)
}
