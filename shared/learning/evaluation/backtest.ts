/**
 * Walk-forward backtest: each month is predicted by a model trained on what was known at its start. Between training rows and
 * test rows lies the time in which outcomes become known.
 */
import { prepareModel, scoreMany } from "../../scoring/model/model.ts"
import type { OnProgress } from "../candidates.ts"
import type { LabelledRows } from "../data/labelled-rows.ts"
import { monthStarts } from "../data/ledger-rows.ts"
import { selectRows } from "../data/matrix.ts"
import { type CompanyOffset, withOffsets } from "../pooled.ts"
import { type TrainSettings, trainModel } from "../train-model.ts"
import { CannotTrain } from "../training-error.ts"
import { type Interval, intervalsOf, type MetricName, type Metrics, metricsOf } from "./metrics.ts"

/** Rows with times and customers, and the company of each where there are several. */
export type DatedRows = LabelledRows & {
  readonly customers: readonly string[]
  readonly times: Float64Array
  readonly groups: readonly (string | null)[]
}

export interface BacktestSettings extends TrainSettings {
  /** From a row's time until its outcome is final. */
  readonly maturityMs: number
  /** Months between trainings. */
  readonly retrainMonths: number
  /** Months of matured rows before the first model. */
  readonly firstMonths: number
  /** Events of matured rows before the first model. */
  readonly firstEvents: number
  readonly groupName: string | null
}

/** Metrics of some rows, with intervals if requested. */
export interface EvaluationMetrics {
  readonly metrics: Metrics
  readonly intervals: Partial<Record<MetricName, Interval>>
  /** Share of churned rows among the 20 % with the highest scores. */
  readonly capture: number | null
}

export interface BacktestMonth extends EvaluationMetrics {
  /** `2026-01`. */
  readonly month: string
  readonly trainedOn: { readonly rows: number; readonly events: number }
}

export interface Backtest {
  readonly months: readonly BacktestMonth[]
  readonly pooled: EvaluationMetrics
  /** By company, largest first. */
  readonly groups: readonly (EvaluationMetrics & { readonly group: string })[]
  /** The same rows by the same models without the companies' intercepts; null where there is one company. */
  readonly withoutOffsets: EvaluationMetrics | null
}

/** The share of customers that a team can contact. */
const BUDGET_SHARE = 0.2
/** With fewer events, intervals are meaningless. */
const INTERVAL_EVENTS_MIN = 10

/** Runs the backtest. Throws `CannotTrain` if no month has enough training rows before it. */
export async function backtest(
  rows: DatedRows,
  settings: BacktestSettings,
  onProgress: OnProgress = () => {},
): Promise<Backtest> {
  const first = rows.times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY)
  const last = rows.times.reduce((most, time) => Math.max(most, time), Number.NEGATIVE_INFINITY)
  const starts = [...monthStarts(first, last), Number.POSITIVE_INFINITY]
  const all = Array.from(rows.times.keys())
  const scoredRows: { row: number; probability: number; plain: number }[] = []
  const months: BacktestMonth[] = []
  let model: Trained | null = null
  let age = 0
  for (let i = 0; i + 1 < starts.length; i++) {
    const [from, until] = [starts[i] ?? 0, starts[i + 1] ?? 0]
    const test = all.filter((row) => (rows.times[row] ?? 0) >= from && (rows.times[row] ?? 0) < until)
    const known = all.filter((row) => (rows.times[row] ?? 0) + settings.maturityMs <= from)
    const events = known.reduce((sum, row) => sum + (rows.outcomes[row] ?? 0), 0)
    const isEnough = i >= settings.firstMonths && events >= settings.firstEvents
    if (test.length === 0 || (model === null && !isEnough)) continue
    const month = new Date(from).toISOString().slice(0, 7)
    if (model === null || age >= settings.retrainMonths) {
      model = await train(rows, known, settings, (text) => onProgress(`${month}: ${text}`))
      age = 0
    }
    age += 1
    const scored = model.score(test)
    scoredRows.push(
      ...test.map((row, at) => ({ row, probability: scored.with[at] ?? 0, plain: scored.without[at] ?? 0 })),
    )
    onProgress(`${month}: ${test.length} rows`)
    const monthMetrics = evaluate(rows, test, scored.with, null)
    months.push({ month, trainedOn: { rows: model.rows, events: model.events }, ...monthMetrics })
  }
  if (scoredRows.length === 0) {
    throw new CannotTrain(
      `no month has ${settings.firstMonths} months and ${settings.firstEvents} events with known outcomes before it`,
    )
  }
  onProgress("intervals")
  const places = scoredRows.map(({ row }) => row)
  const probabilities = scoredRows.map(({ probability }) => probability)
  return {
    months,
    pooled: evaluate(rows, places, probabilities, settings.seed),
    groups: byGroup(rows, scoredRows, settings.seed),
    withoutOffsets:
      settings.groupName === null
        ? null
        : evaluate(
            rows,
            places,
            scoredRows.map(({ plain }) => plain),
            settings.seed,
          ),
  }
}

interface Trained {
  readonly rows: number
  readonly events: number
  score(test: readonly number[]): { readonly with: ArrayLike<number>; readonly without: ArrayLike<number> }
}

async function train(
  rows: DatedRows,
  known: readonly number[],
  settings: BacktestSettings,
  onProgress: OnProgress,
): Promise<Trained> {
  const customers = known.map((row) => rows.customers[row] ?? "")
  const part: LabelledRows = {
    matrix: selectRows(rows.matrix, known),
    outcomes: Uint8Array.from(known, (row) => rows.outcomes[row] ?? 0),
    customers,
    times: Float64Array.from(known, (row) => rows.times[row] ?? 0),
  }
  const pooled = await trainModel(part, settings, onProgress)
  const groups = known.map((row) => rows.groups[row] ?? null)
  const { artefact, offsets } =
    settings.groupName === null
      ? { ...pooled, offsets: new Map<string, CompanyOffset>() }
      : withOffsets(pooled, { customers, groups, groupName: settings.groupName }, settings.seed)
  const model = await prepareModel(artefact)
  return {
    rows: artefact.training.rows,
    events: artefact.training.events,
    score: (test) => {
      const { columns } = selectRows(rows.matrix, test)
      const own = test.map((row) => offsets.get(rows.groups[row] ?? "")?.offset ?? 0)
      return {
        with: scoreMany(model, columns, test.length, own),
        without: scoreMany(model, columns, test.length),
      }
    },
  }
}

function byGroup(
  rows: DatedRows,
  scoredRows: readonly { readonly row: number; readonly probability: number }[],
  seed: number,
): Backtest["groups"] {
  const members = new Map<string, { row: number; probability: number }[]>()
  for (const each of scoredRows) {
    const group = rows.groups[each.row] ?? null
    if (group === null) continue
    const own = members.get(group)
    if (own) own.push(each)
    else members.set(group, [each])
  }
  return [...members]
    .sort(([a, one], [b, other]) => other.length - one.length || (a < b ? -1 : 1))
    .map(([group, own]) => ({
      group,
      ...evaluate(
        rows,
        own.map(({ row }) => row),
        own.map(({ probability }) => probability),
        seed,
      ),
    }))
}

/** The metrics of some rows; with a seed also their intervals, by resampling customers. */
function evaluate(
  rows: DatedRows,
  places: readonly number[],
  probabilities: ArrayLike<number>,
  seed: number | null,
): EvaluationMetrics {
  const outcomes = Uint8Array.from(places, (row) => rows.outcomes[row] ?? 0)
  const metrics = metricsOf(probabilities, outcomes)
  const capture = captureOf(probabilities, outcomes)
  if (seed === null || metrics.events < INTERVAL_EVENTS_MIN) return { metrics, intervals: {}, capture }
  const numbers = new Map<string, number>()
  const groups = Int32Array.from(places, (row) => {
    const customer = rows.customers[row] ?? ""
    const number = numbers.get(customer) ?? numbers.size
    numbers.set(customer, number)
    return number
  })
  return { metrics, intervals: intervalsOf(probabilities, outcomes, { seed, groups }), capture }
}

function captureOf(probabilities: ArrayLike<number>, outcomes: Uint8Array): number | null {
  const events = outcomes.reduce((sum, outcome) => sum + outcome, 0)
  if (events === 0) return null
  const order = Uint32Array.from(outcomes, (_, row) => row)
  order.sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
  const top = order.subarray(0, Math.ceil(BUDGET_SHARE * order.length))
  return top.reduce((sum, row) => sum + (outcomes[row] ?? 0), 0) / events
}
