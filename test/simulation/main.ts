/**
 * `npm run simulate`: schedules by seed, and with flags the crash points, the orders and the mutants.
 *
 *   --runs N      so many schedules (2 000), from --from (1) on
 *   --seed N      one schedule, with its trace; when it fails, the smallest version of it that still fails
 *   --workers N   so many processes (as many as there are processors)
 *   --json        the summary as JSON on standard output
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { openPool, type Pool } from "./pool.ts"
import { Progress } from "./progress.ts"
import type { Run } from "./run.ts"
import { emptyTally, merge, type Tally } from "./schedules.ts"

/** Schedules of one job: short enough that progress is seen, long enough that handing it over costs nothing. */
const SCHEDULES_PER_JOB = 10
/** More failing seeds than this are not told one by one. */
const TOLD_MAX = 10

const { values } = parseArgs({
  options: {
    runs: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    workers: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
  },
})

const pool = await openPool(values.seed === undefined ? wholeNumber("workers", values.workers) : 1)
try {
  const isGood =
    values.seed === undefined
      ? await manySchedules(pool, wholeNumber("runs", values.runs ?? "2000"), wholeNumber("from", values.from))
      : await oneSeed(pool, wholeNumber("seed", values.seed))
  process.exitCode = isGood ? 0 : 1
} finally {
  await pool.close()
}

async function manySchedules(pool: Pool, runs: number, from: number): Promise<boolean> {
  const tally = emptyTally()
  const progress = new Progress("schedules", runs)
  const last = from + runs - 1
  const jobs: Promise<void>[] = []
  for (let start = from; start <= last; start += SCHEDULES_PER_JOB) {
    const job = { kind: "schedules", from: start, to: Math.min(last, start + SCHEDULES_PER_JOB - 1) } as const
    jobs.push(
      pool.do<Tally>(job).then((part) => {
        merge(tally, part)
        progress.show(tally.runs, `${tally.failed.length} failed, ${tally.figures.effects ?? 0} effects`)
      }),
    )
  }
  await Promise.all(jobs)
  progress.end()
  tellTally(tally)
  return tally.failed.length === 0
}

function tellTally(tally: Tally): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify(tally)}\n`)
    return
  }
  const { simulatedMs = 0, ...figures } = tally.figures
  const rows: [string, number | string][] = [
    ["schedules", tally.runs],
    ...Object.entries(figures),
    ["simulated years", (simulatedMs / (365 * 86_400_000)).toFixed(1)],
    ...Object.entries(tally.kinds).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(24)} ${value}\n`)
  for (const { seed, violations } of tally.failed.slice(0, TOLD_MAX)) {
    process.stdout.write(
      `\nseed ${seed} (npm run simulate -- --seed ${seed})\n${violations.map((line) => `  ${line}\n`).join("")}`,
    )
  }
}

async function oneSeed(pool: Pool, seed: number): Promise<boolean> {
  const { run, smallest } = await pool.do<{ readonly run: Run; readonly smallest: Run }>({ kind: "seed", seed })
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ run, smallest })}\n`)
    return run.violations.length === 0
  }
  process.stdout.write(
    `${smallest.trace.join("\n")}\n\nseed ${seed}, hash ${run.hash}, ${JSON.stringify(run.figures)}\n`,
  )
  if (run.violations.length === 0) {
    process.stdout.write("every invariant holds\n")
    return true
  }
  process.stdout.write(
    `broken with all ${run.faults.length} faults:\n${run.violations.map((line) => `  ${line}\n`).join("")}`,
  )
  process.stdout.write(`broken with these ${smallest.faults.length}:\n`)
  for (const { kind, where } of smallest.faults) process.stdout.write(`  ${kind} at ${where}\n`)
  for (const line of smallest.violations) process.stdout.write(`  ${line}\n`)
  return false
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} expects a whole number`)
  return Number(text)
}
