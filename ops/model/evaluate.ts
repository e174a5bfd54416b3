/** `evaluate`: measures a model on rows with known outcomes. */
import { type Label, readLabel, UNLABELLED } from "../../shared/learning/data/label.ts"
import { type RawColumn, TableBuilder } from "../../shared/learning/data/table.ts"
import {
  type Comparison,
  compareModels,
  type Interval,
  intervalsOf,
  type MetricName,
  type Metrics,
  metricsOf,
} from "../../shared/learning/evaluation/metrics.ts"
import type { Model } from "../../shared/scoring/model/model.ts"
import { asInputError, readModel, scoreTable, type UnusableValues, unusableValueWarnings } from "./data/model-file.ts"
import { EVENT_HELP, EVENT_OPTIONS, openRows } from "./data/snapshots.ts"
import { metricLines } from "./show.ts"
import { InputError, type Output, pathOf, readOptions, required, type Subcommand, wholeNumber } from "./subcommand.ts"

const HELP = `npm run model -- evaluate --model FILE --data FILE [--label COL] [options]

ROC AUC, PR AUC, log loss, Brier score, calibration error, accuracy and the lift of the top tenth, each with its 95 %
interval (bootstrap). Columns are found by name; others are ignored. Rows without a label do not count.

  --model FILE      the output of train
  --data FILE       CSV, or CSV in gzip
  --label COL       the outcome (the one that the model was trained on)
  --positive VALUE  the label's value that means "left" (as in training)
  --id COL          the customer: intervals resample customers instead of rows
  --against FILE    another model to compare with on the same rows (paired bootstrap)
${EVENT_HELP}  --seed N          of the bootstrap (1)
  --json            output for machines
`

const OPTIONS = {
  model: { type: "string" },
  data: { type: "string" },
  label: { type: "string" },
  positive: { type: "string" },
  id: { type: "string" },
  ...EVENT_OPTIONS,
  against: { type: "string" },
  seed: { type: "string" },
  json: { type: "boolean", default: false },
} as const

/** A model's probabilities for labelled rows. */
export interface Evaluation {
  readonly probabilities: Float64Array
  readonly outcomes: Uint8Array
  readonly customers: Int32Array | null
  readonly label: Label
  readonly metrics: Metrics
  readonly intervals: Partial<Record<MetricName, Interval>>
}

/** Scores a table and computes metrics. Throws `InputError` if the table does not fit the model or has no label. */
export async function evaluateTable(
  model: Model,
  path: string,
  options: {
    readonly label?: string | undefined
    readonly positive?: string | undefined
    readonly id?: string | undefined
    readonly events?: string | undefined
    readonly time?: string | undefined
    readonly group?: string | undefined
    readonly "month-days"?: string | undefined
    readonly seed: number
  },
  output: Output,
): Promise<Evaluation> {
  const name = options.label ?? model.artefact.training.label
  try {
    const table = await openRows(path, options, model, output)
    const [labelAt, idAt] = [
      placeOf(table.header, name),
      options.id === undefined ? -1 : placeOf(table.header, options.id),
    ]
    const known = new TableBuilder(["label"])
    const numbers = new Map<string, number>()
    const customers: number[] = []
    const scores: Float64Array[] = []
    const unusable: UnusableValues = new Map()
    for await (const { rows, probabilities } of scoreTable(model, table, unusable, options.group)) {
      scores.push(probabilities)
      for (const { fields } of rows) {
        known.add([fields[labelAt] ?? ""])
        if (idAt < 0) continue
        const id = fields[idAt] ?? ""
        if (!numbers.has(id)) numbers.set(id, numbers.size)
        customers.push(numbers.get(id) ?? 0)
      }
    }
    if (known.rows === 0) throw new InputError(`${path}: there is a header and no row.`)
    output.err(unusableValueWarnings(unusable, known.rows))
    const [column] = known.build().columns
    if (column === undefined) throw new Error("a table of one column has none")
    const label = labelOf(model, { ...column, name }, options.positive)
    const rows = Uint32Array.from(label.outcomes.keys()).filter((row) => label.outcomes[row] !== UNLABELLED)
    const all = joined(scores, known.rows)
    const probabilities = Float64Array.from(rows, (row) => all[row] ?? Number.NaN)
    const outcomes = Uint8Array.from(rows, (row) => label.outcomes[row] ?? 0)
    const groups = idAt < 0 ? null : Int32Array.from(rows, (row) => customers[row] ?? 0)
    output.progress("intervals")
    return {
      probabilities,
      outcomes,
      customers: groups,
      label,
      metrics: metricsOf(probabilities, outcomes),
      intervals: intervalsOf(probabilities, outcomes, { seed: options.seed, groups }),
    }
  } catch (error) {
    throw asInputError(error, path)
  }
}

function placeOf(header: readonly string[], name: string): number {
  const place = header.indexOf(name)
  if (place < 0) throw new InputError(`There is no column ${name}; there are ${header.join(", ")}.`)
  return place
}

/** The label with the training's positive value if it occurs; else by the usual words. */
function labelOf(model: Model, column: RawColumn, positive: string | undefined): Label {
  if (positive !== undefined) return readLabel(column, { positive, mayBeOne: true })
  const trained = model.artefact.training.notes.positive
  if (trained === undefined) return readLabel(column, { mayBeOne: true })
  const value = String(trained)
  const has = column.words.some((word) => word === value) || column.numbers.some((number) => String(number) === value)
  return readLabel(column, has ? { positive: value, mayBeOne: true } : { mayBeOne: true })
}

function joined(parts: readonly Float64Array[], length: number): Float64Array {
  const all = new Float64Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

export const evaluate: Subcommand = {
  name: "evaluate",
  summary: "measures a model on rows whose outcomes are known",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const [modelPath, dataPath] = [pathOf(required(values.model, "model")), pathOf(required(values.data, "data"))]
    const seed = wholeNumber(values.seed, "seed", { min: 0, max: 2 ** 31 - 1, fallback: 1 })
    const model = await readModel(modelPath)
    const evaluation = await evaluateTable(model, dataPath, { ...values, seed }, output)
    const { metrics, intervals, label, probabilities, outcomes, customers } = evaluation
    let comparison: Comparison | null = null
    if (values.against !== undefined) {
      const other = await readModel(pathOf(values.against))
      const second = await evaluateTable(other, dataPath, { ...values, seed }, output)
      comparison = compareModels(probabilities, second.probabilities, outcomes, { seed, groups: customers })
    }
    const { rows, events, baseRate, ...shown } = metrics
    if (values.json) {
      const { kind, training } = model.artefact
      const of = {
        model: modelPath,
        data: dataPath,
        kind,
        trainedAt: training.trainedAt,
        label: label.name,
        positive: label.positive,
      }
      const document = {
        ...of,
        rows,
        events,
        unlabelled: label.unlabelled,
        baseRate,
        metrics: shown,
        intervals,
        comparison,
      }
      output.out(`${JSON.stringify(document)}\n`)
      return
    }
    output.out(`${rows} rows, ${events} with ${label.name} ${label.positive} (${(100 * baseRate).toFixed(1)} %)${label.unlabelled > 0 ? `; ${label.unlabelled} without a label` : ""}
${metricLines(metrics, intervals)}
${comparison === null ? "" : comparisonLines(comparison)}`)
  },
}

function comparisonLines({ logLoss, auc }: Comparison): string {
  const line = ({ gain, interval: [low, high] }: Comparison["logLoss"]) =>
    `${gain.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`
  return `against the other model:
  log loss lower by         ${line(logLoss)}
${auc === null ? "" : `  ROC AUC higher by         ${line(auc)}\n`}`
}
