/** `train --events`: labelled snapshots with the features of live scoring, computed from an event log. */
import type { Features } from "../../../shared/domain/scoring/features.ts"
import { TableError } from "../../../shared/learning/data/csv.ts"
import { FeatureMatrix, plausibleDirections } from "../../../shared/learning/data/feature-matrix.ts"
import { readLabel, UNLABELLED } from "../../../shared/learning/data/label.ts"
import type { LabelledRows } from "../../../shared/learning/data/labelled-rows.ts"
import { leakWarnings } from "../../../shared/learning/data/leakage.ts"
import { TableBuilder } from "../../../shared/learning/data/table.ts"
import { withOffsets } from "../../../shared/learning/pooled.ts"
import { trainModel } from "../../../shared/learning/train-model.ts"
import { CannotTrain } from "../../../shared/learning/training-error.ts"
import { EVENT_OPTIONS, openSnapshots, type SnapshotOptions, snapshotOptions } from "../data/snapshots.ts"
import { InputError, type Output, pathOf, readOptions, required, wholeNumber } from "../subcommand.ts"
import { monotoneOf, readTrainOptions, TRAIN_OPTIONS, writeModel } from "./options.ts"
import type { TrainSource } from "./source.ts"

const OPTIONS = {
  ...TRAIN_OPTIONS,
  ...EVENT_OPTIONS,
  data: { type: "string" },
  label: { type: "string" },
  positive: { type: "string" },
  id: { type: "string" },
  "horizon-days": { type: "string" },
} as const

const HELP = `--events FILE --data SNAPSHOTS --label COL --id COL --time COL
                    snapshots (a customer at a time, with what became of them) and a log of events
                    (event_id, customer, type, occurred_at, received_at, plan, interval, amount, …): the features are
                    those of live scoring, from events that had happened before the time and were received by then;
                    other columns of the snapshots are not used
  --group COL       the company of each row: it gets an intercept of its own, shrunk to none where little is known
                    (a column called tenant or company, where there is one)
  --horizon-days N  how long after its time a snapshot's outcome is known (30)
  --month-days N    days of a month of billing, where the log does not say when periods end (30)
`

const DAY_MS = 86_400_000
/** Usual names of the company column. */
const GROUP_NAMES = new Set(["tenant", "tenant_id", "company", "company_id", "companyid", "tenantid"])

export const fromEvents: TrainSource = {
  option: "events",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const path = pathOf(required(values.data, "data"))
    const labelName = required(values.label, "label")
    const options = readTrainOptions(values)
    const horizonDays = wholeNumber(values["horizon-days"], "horizon-days", { min: 1, max: 3_660, fallback: 30 })
    const columns = { label: labelName, group: values.group, positive: values.positive }
    try {
      const { rows, groups, group, notes } = await labelledSnapshots(path, columns, snapshotOptions(values), output)
      const monotone =
        values.monotone === undefined ? plausibleDirections : monotoneOf(values.monotone, rows.matrix.features)
      const settings = { ...options, label: labelName, monotone, notes, horizonMs: horizonDays * DAY_MS }
      const pooled = await trainModel(rows, settings, output.progress)
      const shared =
        group === undefined
          ? null
          : withOffsets(pooled, { customers: rows.customers, groups, groupName: group }, options.seed)
      const trained = shared ?? pooled
      for (const warning of leakWarnings(rows.matrix, rows.outcomes, trained.metrics.auc))
        output.err(`Leak? ${warning}\n`)
      await writeModel(trained, values, output, shared?.offsets)
    } catch (error) {
      if (error instanceof TableError || error instanceof CannotTrain) throw new InputError(`${path}: ${error.message}`)
      throw error
    }
  },
}

/** Snapshots with features and outcomes; those without a label or with an announced cancellation are left out, with a remark. */
export async function labelledSnapshots(
  path: string,
  requested: { readonly label: string; readonly group: string | undefined; readonly positive: string | undefined },
  options: SnapshotOptions,
  output: Output,
) {
  const { header, snapshots } = await openSnapshots(path, options, output)
  const { label: labelName, positive } = requested
  const group = requested.group ?? header.find((name) => GROUP_NAMES.has(name.toLowerCase()))
  if (requested.group === undefined && group !== undefined) output.err(`${group} is taken for the company of a row.\n`)
  for (const name of [labelName, ...(group === undefined ? [] : [group])]) {
    if (!header.includes(name)) throw new InputError(`There is no column ${name}; there are ${header.join(", ")}.`)
  }
  const [labelAt, groupAt] = [header.indexOf(labelName), group === undefined ? -1 : header.indexOf(group)]
  const labels = new TableBuilder([labelName])
  const described: { readonly customer: string; readonly atMs: number; readonly group: string | null }[] = []
  const values: Features[] = []
  for await (const snapshot of snapshots) {
    labels.add([snapshot.row.fields[labelAt] ?? ""])
    const own = groupAt < 0 ? "" : (snapshot.row.fields[groupAt] ?? "").trim()
    described.push({ customer: snapshot.customer, atMs: snapshot.atMs, group: own === "" ? null : own })
    values.push(snapshot.values)
  }
  if (labels.rows === 0) throw new InputError(`${path}: there is a header and no row.`)
  const [column] = labels.build().columns
  if (column === undefined) throw new Error("a table of one column has none")
  const label = readLabel(column, positive === undefined ? {} : { positive })
  const known = [...described.keys()].filter((row) => label.outcomes[row] !== UNLABELLED)
  const taken = known.filter((row) => values[row]?.cancel_scheduled !== 1)
  if (label.unlabelled > 0) output.err(`${label.unlabelled} rows have no ${labelName} and are left out.\n`)
  if (taken.length < known.length) {
    output.err(
      `${known.length - taken.length} rows had announced that they leave, and are left out: there is nothing to foretell.\n`,
    )
  }
  const matrix = new FeatureMatrix()
  for (const row of taken) matrix.add(values[row] ?? missing())
  const rows = {
    matrix: matrix.build(),
    outcomes: Uint8Array.from(taken, (row) => label.outcomes[row] ?? 0),
    customers: taken.map((row) => described[row]?.customer ?? ""),
    times: Float64Array.from(taken, (row) => described[row]?.atMs ?? 0),
  } satisfies LabelledRows
  return {
    rows,
    groups: taken.map((row) => described[row]?.group ?? null),
    group,
    notes: {
      positive: label.positive,
      source: "events",
      id: options.id,
      time: options.time,
      monthDays: options.monthDays,
    },
  }
}

function missing(): never {
  throw new Error("a snapshot has no features")
}
