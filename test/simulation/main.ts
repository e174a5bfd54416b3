/** `npm run simulate`: what is played, and how it is told. See HELP. */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { FLOWS, type FlowReport } from "./crash-points.ts"
import { MUTANTS } from "./mutant-list.ts"
import type { Kill } from "./mutants.ts"
import { ORDERED, type OrdersReport, type Timing } from "./orders.ts"
import { openPool, type Pool } from "./pool.ts"
import { Progress } from "./progress.ts"
import { crashesInWords, killsInWords, ordersInWords, scheduleInWords, tallyInWords } from "./report.ts"
import type { Run } from "./run.ts"
import { emptyTally, merge, type Tally } from "./schedules.ts"

const HELP = `npm run simulate -- [options]
  Plays the deployable in a simulated world: a virtual clock, a real Postgres, stand-ins for everything else, and faults.
  Without options: 2 000 schedules.
  --runs N      so many schedules by seed, from --from (1) on
  --seed N      one schedule, with its trace; when it fails, the smallest version of it that still fails
  --crashes     every flow with a crash or a lost answer at each of its effects; pairs for the nudge
  --orders      all orders of every story's events, apart and within one second, each event also again
  --mutants     the guards of the product, each switched off, and what notices it
  --all         schedules, crashes and orders, and that a seed gives the same run twice: what npm test plays
  --workers N   so many processes (as many as there are processors)
  --json        the result as JSON on standard output
`

/** Schedules of one job: short enough that progress is seen, long enough that handing it over costs nothing. */
const SCHEDULES_PER_JOB = 10
/** Seeds that are played a second time, in another process and after other runs. */
const REPEATED = [1, 7, 65, 333]

const { values } = parseArgs({
  options: {
    runs: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    crashes: { type: "boolean", default: false },
    orders: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
    workers: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
})

/** One part of what is played, as a person reads it and as JSON. */
interface Part {
  readonly name: string
  readonly isGood: boolean
  readonly result: unknown
  readonly words: string
}

async function schedules(pool: Pool): Promise<Part> {
  const runs = wholeNumber("runs", values.runs ?? "2000")
  const from = wholeNumber("from", values.from)
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
  return { name: "schedules", isGood: tally.failed.length === 0, result: tally, words: tallyInWords(tally) }
}

/** Plays all items of a list on the players that are free, with progress; in the order of the list. */
async function each<T>(name: string, count: number, play: (place: number) => Promise<T>): Promise<T[]> {
  const progress = new Progress(name, count)
  let done = 0
  const results = await Promise.all(
    Array.from({ length: count }, async (_, place) => {
      const result = await play(place)
      done += 1
      progress.show(done, "")
      return result
    }),
  )
  progress.end()
  return results
}

async function crashes(pool: Pool): Promise<Part> {
  const reports = await each("flows", FLOWS.length, (flow) => pool.do<FlowReport>({ kind: "crashes", flow }))
  const isGood = reports.every(({ faults }) => faults.length === 0)
  return { name: "crashes", isGood, result: reports, words: crashesInWords(reports) }
}

const TIMINGS: readonly Timing[] = ["apart", "tied"]

async function orders(pool: Pool): Promise<Part> {
  const reports = await each("stories", ORDERED.length * TIMINGS.length, (place) =>
    pool.do<OrdersReport>({
      kind: "orders",
      story: Math.floor(place / TIMINGS.length),
      timing: TIMINGS[place % TIMINGS.length] ?? "apart",
    }),
  )
  const isGood = reports.every(({ faults }) => faults.length === 0)
  return { name: "orders", isGood, result: reports, words: ordersInWords(reports) }
}

async function mutants(pool: Pool): Promise<Part> {
  const kills = await each("mutants", MUTANTS.length, (mutant) => pool.do<Kill>({ kind: "mutant", mutant }))
  const isGood = kills.every(({ by }) => by !== null)
  return { name: "mutants", isGood, result: kills, words: killsInWords(kills) }
}

type Seeded = { readonly run: Run; readonly smallest: Run }

async function oneSeed(pool: Pool): Promise<Part> {
  const result = await pool.do<Seeded>({ kind: "seed", seed: wholeNumber("seed", values.seed ?? "") })
  const isGood = result.run.violations.length === 0
  return { name: "seed", isGood, result, words: scheduleInWords(result.run, result.smallest) }
}

/** A run is its seed's alone: played again, after whatever was played before, it takes the same course. */
async function repetitions(pool: Pool): Promise<Part> {
  const hashes = await each("repeated", REPEATED.length * 2, async (place) => {
    const { run } = await pool.do<Seeded>({ kind: "seed", seed: REPEATED[place % REPEATED.length] ?? 1 })
    return run.hash
  })
  const different = REPEATED.filter((_, place) => hashes[place] !== hashes[place + REPEATED.length])
  const words = `${REPEATED.length} seeds played twice, ${different.length} of them differently ${different.join(" ")}\n`
  return { name: "repetitions", isGood: different.length === 0, result: { seeds: REPEATED, different }, words }
}

function partsWanted(): readonly ((pool: Pool) => Promise<Part>)[] {
  if (values.seed !== undefined) return [oneSeed]
  if (values.all) return [schedules, crashes, orders, repetitions]
  const chosen = [
    ...(values.runs !== undefined ? [schedules] : []),
    ...(values.crashes ? [crashes] : []),
    ...(values.orders ? [orders] : []),
    ...(values.mutants ? [mutants] : []),
  ]
  return chosen.length > 0 ? chosen : [schedules]
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} expects a whole number`)
  return Number(text)
}

if (values.help) {
  process.stdout.write(HELP)
} else {
  const pool = await openPool(values.seed === undefined ? wholeNumber("workers", values.workers) : 1)
  try {
    const results: Record<string, unknown> = {}
    let isGood = true
    for (const play of partsWanted()) {
      const startedAt = performance.now()
      const part = await play(pool)
      results[part.name] = part.result
      isGood &&= part.isGood
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
      if (!values.json) process.stdout.write(`\n${part.isGood ? "✔" : "✘"} ${part.name} (${seconds} s)\n${part.words}`)
    }
    if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`)
    process.exitCode = isGood ? 0 : 1
  } finally {
    await pool.close()
  }
}
