/**
 * `npm run bench -- scoring`: how fast the evaluator is, in Node and in workerd, compared with a loop that multiplies and adds
 * the same numbers. Times are CPU times, which a busy machine changes little; ratios are made round by round.
 */
import { parseArgs } from "node:util"
import { explain } from "../../shared/scoring/explain.ts"
import { type Model, prepareModel, scoreMany } from "../../shared/scoring/model/model.ts"
import { type ScoringInWorkerd, startScoringInWorkerd } from "../../test/support/models/scoring-in-workerd.ts"
import { type Benchmark, positive, progress } from "../support/benchmark.ts"
import { cpuOf } from "../support/cpu.ts"
import { type BenchmarkReport, digitsOf, spreadOf, type Table } from "../support/report.ts"
import { type ModelUnderTest, makeModels, sampleRows } from "./models.ts"

/** Enough rows for a round of at least some hundredths of a second. */
const ROWS_MANY = 100_000
const ROWS_EXPLAINED = 500
/** The largest batch of a request, and repetitions of it: the kernel counts CPU time in hundredths of a second. */
const ROWS_IN_WORKERD = 100
const REPEATS = { single: 400, explain: 40 }

type Measurement = {
  readonly rowsPerSecond: number
  /** Rows per second ÷ those of the bare loop in the same round. */
  readonly ratioToBare: number
  readonly explainMs: number
  readonly workerdScoreMs: number | null
  readonly workerdExplainMs: number | null
  readonly prepareMs: number
}
type Result = Pick<ModelUnderTest, "name" | "trainingMs"> & {
  readonly artefactBytes: number
  readonly rounds: Measurement[]
}

export const scoring: Benchmark = {
  name: "scoring",
  help: `  scoring    scores and explanations, rows per second, in Node and in workerd
    --rounds N         measurements (5)
`,
  run: benchScoring,
}

async function benchScoring(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: isQuick ? "1" : "5" } } })
  const rounds = positive("rounds", values.rounds)
  progress("training the models to be timed")
  const models = await makeModels()
  const rows = sampleRows(ROWS_MANY)
  const workerd = await startScoringInWorkerd()
  try {
    const results: Result[] = []
    for (const { name, artefact, trainingMs } of models) {
      const text = JSON.stringify(artefact)
      const model = await prepareModel(artefact)
      const measured: Measurement[] = []
      // The first round lets V8 optimise and is discarded.
      for (let round = 0; round <= rounds; round++) {
        progress(`${name}, round ${round} of ${rounds}`)
        const measurement = await measure(model, text, rows.columns, workerd)
        if (round > 0) measured.push(measurement)
      }
      results.push({ name, trainingMs, artefactBytes: text.length, rounds: measured })
    }
    const summary = `Medians of ${rounds} rounds, CPU time of one core.`
    return { name: "scoring", at: new Date(), summary, tables: [tableOf(results)], charts: [], data: results }
  } finally {
    await workerd.stop()
  }
}

async function measure(
  model: Model,
  text: string,
  columns: readonly Float64Array[],
  workerd: ScoringInWorkerd,
): Promise<Measurement> {
  const bareMs = cpuMs(() => bare(columns))
  const manyMs = cpuMs(() => scoreMany(model, columns, ROWS_MANY))
  const vectors = Array.from({ length: ROWS_EXPLAINED }, (_, row) => {
    return Float64Array.from(columns, (column) => column[row] ?? Number.NaN)
  })
  const explainMs = cpuMs(() => {
    for (const vector of vectors) explain(model, vector)
  })
  const start = process.cpuUsage()
  await prepareModel(JSON.parse(text))
  const prepared = process.cpuUsage(start)

  const few = columns.map((column) => column.slice(0, ROWS_IN_WORKERD))
  const artefact: unknown = JSON.parse(text)
  const clock = cpuOf(workerd.worker.pid)
  const inWorkerd = async (task: "single" | "explain"): Promise<number | null> => {
    if (clock === null) return null
    const request = { task, columns: few, rows: ROWS_IN_WORKERD }
    await workerd.run({ ...request, artefact })
    const before = clock()
    await workerd.run({ ...request, repeat: REPEATS[task] })
    return (clock() - before) / (ROWS_IN_WORKERD * REPEATS[task])
  }
  return {
    rowsPerSecond: (1_000 * ROWS_MANY) / manyMs,
    ratioToBare: bareMs / manyMs,
    explainMs: explainMs / ROWS_EXPLAINED,
    workerdScoreMs: await inWorkerd("single"),
    workerdExplainMs: await inWorkerd("explain"),
    prepareMs: (prepared.user + prepared.system) / 1_000,
  }
}

function cpuMs(run: () => unknown): number {
  const start = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1_000
}

/** The lower bound: one product per value, one sum and one probability per row. */
function bare(columns: readonly Float64Array[]): Float64Array {
  const sums = new Float64Array(ROWS_MANY)
  for (const [input, column] of columns.entries()) {
    const slope = input / 100
    for (let row = 0; row < ROWS_MANY; row++) sums[row] = (sums[row] ?? 0) + slope * (column[row] ?? 0)
  }
  return sums.map((sum) => 1 / (1 + Math.exp(-sum)))
}

const COLUMNS: readonly {
  readonly title: string
  readonly of: (measurement: Measurement) => number | null
  digits: number
}[] = [
  { title: "rows/s", of: ({ rowsPerSecond }) => rowsPerSecond, digits: 0 },
  { title: "÷ bare loop", of: ({ ratioToBare }) => ratioToBare, digits: 3 },
  { title: "explanation ms", of: ({ explainMs }) => explainMs, digits: 4 },
  { title: "score in workerd ms", of: ({ workerdScoreMs }) => workerdScoreMs, digits: 4 },
  { title: "with explanation ms", of: ({ workerdExplainMs }) => workerdExplainMs, digits: 4 },
  { title: "prepare ms", of: ({ prepareMs }) => prepareMs, digits: 2 },
]

function tableOf(results: readonly Result[]): Table {
  const header = ["", ...COLUMNS.map(({ title }) => title), "artefact KB", "training s"]
  const body = results.map(({ name, trainingMs, artefactBytes, rounds }) => [
    name,
    ...COLUMNS.map(({ of, digits }) => digitsOf(spreadOf(rounds.map(of))?.median ?? null, digits)),
    (artefactBytes / 1_000).toFixed(0),
    trainingMs === null ? "" : (trainingMs / 1_000).toFixed(1),
  ])
  return { title: "Scoring.", rows: [header, ...body] }
}
