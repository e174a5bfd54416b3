/** `backtest`: predicts month by month with models trained on what was known by then. */
import { LABEL_DAYS } from "../../shared/domain/scoring/churn-label.ts"
import { TableError } from "../../shared/learning/data/csv.ts"
import { plausibleDirections } from "../../shared/learning/data/feature-matrix.ts"
import {
  type Backtest,
  type BacktestMonth,
  backtest,
  type DatedRows,
  type EvaluationMetrics,
} from "../../shared/learning/evaluation/backtest.ts"
import { CannotTrain } from "../../shared/learning/training-error.ts"
import { LEDGER_HELP, LEDGER_OPTIONS, readLedger } from "./data/read-ledger.ts"
import { EVENT_OPTIONS, snapshotOptions } from "./data/snapshots.ts"
import { metricLines } from "./show.ts"
import { InputError, type Output, pathOf, readOptions, required, type Subcommand, wholeNumber } from "./subcommand.ts"
import { labelledSnapshots } from "./train/events.ts"
import { LEDGER_LABEL } from "./train/ledger.ts"
import { readTrainOptions } from "./train/options.ts"

const OPTIONS = {
  ...EVENT_OPTIONS,
  ...LEDGER_OPTIONS,
  data: { type: "string" },
  label: { type: "string" },
  positive: { type: "string" },
  id: { type: "string" },
  kind: { type: "string" },
  seed: { type: "string" },
  "trained-at": { type: "string" },
  "gap-days": { type: "string" },
  "retrain-months": { type: "string" },
  "first-months": { type: "string" },
  json: { type: "boolean", default: false },
} as const

const HELP = `npm run model -- backtest (--events FILE --data SNAPSHOTS --label COL --id COL --time COL [--group COL] | --from-ledger …)

Goes through the months: each is predicted by a model trained on rows whose outcomes were known when the month began.
Metrics by month, by company and pooled, the last two with 95 % intervals (bootstrap over customers).

  --events …        as in train --events
${LEDGER_HELP}  --gap-days N      from a row's time until its outcome is known (30 for snapshots, ${LABEL_DAYS} for the ledger)
  --retrain-months N  a new model every so many months (3)
  --first-months N  months before the first model (6)
  --kind K          gam, gbdt or auto (gam; auto takes several times as long)
  --seed N          (1)
  --json            output for machines
`

const DAY_MS = 86_400_000
/** Minimum churns for the first model. */
const FIRST_EVENTS = 30

export const backtestCommand: Subcommand = {
  name: "backtest",
  summary: "walks forward by month: how models would have done",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const options = readTrainOptions({ ...values, kind: values.kind ?? "gam" })
    const number = (name: "gap-days" | "retrain-months" | "first-months", min: number, fallback: number) =>
      wholeNumber(values[name], name, { min, max: 3_660, fallback })
    try {
      const { rows, label, groupName } = await rowsOf(values, output)
      const isLedger = values["from-ledger"]
      const result = await backtest(
        rows,
        {
          ...options,
          label,
          groupName,
          monotone: plausibleDirections,
          maturityMs: number("gap-days", 0, isLedger ? LABEL_DAYS : 30) * DAY_MS,
          retrainMonths: number("retrain-months", 1, 3),
          firstMonths: number("first-months", 1, 6),
          firstEvents: FIRST_EVENTS,
        },
        output.progress,
      )
      output.out(values.json ? `${JSON.stringify(result)}\n` : tableOf(result))
    } catch (error) {
      if (error instanceof CannotTrain) throw new InputError(`Too little to learn from: ${error.message}.`)
      if (error instanceof TableError) throw new InputError(error.message)
      throw error
    }
  },
}

type Values = ReturnType<typeof readOptions<typeof OPTIONS>>

async function rowsOf(
  values: Values,
  output: Output,
): Promise<{ readonly rows: DatedRows; readonly label: string; readonly groupName: string | null }> {
  if (values["from-ledger"]) {
    const { rows, companies } = await readLedger(values, output)
    return { rows, label: LEDGER_LABEL, groupName: companies.length > 1 ? "company" : null }
  }
  const label = required(values.label, "label")
  const path = pathOf(required(values.data, "data"))
  const { rows, groups, group } = await labelledSnapshots(
    path,
    { label, group: values.group, positive: values.positive },
    snapshotOptions(values),
    output,
  )
  return { rows: { ...rows, groups }, label, groupName: group ?? null }
}

/** The result as text tables. */
function tableOf({ months, groups, pooled, withoutOffsets }: Backtest): string {
  const lines = [
    line(["month", "rows", "left", "AUC", "PR AUC", "log loss", "ECE", "lift", "top 20 %", "trained on"]),
    ...months.map((month) =>
      line([month.month, ...cells(month), `${month.trainedOn.rows} (${month.trainedOn.events})`]),
    ),
    "",
    `All months, top 20 % of the scores holding ${percent(pooled.capture)} of those who left:`,
    metricLines(pooled.metrics, pooled.intervals),
  ]
  if (withoutOffsets !== null) {
    const { logLoss, auc } = withoutOffsets.metrics
    lines.push(`Without the companies' intercepts: log loss ${logLoss.toFixed(4)}, ROC AUC ${auc?.toFixed(4) ?? "—"}`)
  }
  if (groups.length > 1) {
    lines.push(
      "",
      line(["company", "rows", "left", "AUC", "PR AUC", "log loss", "ECE", "lift", "top 20 %", "AUC, 95 %"]),
    )
    lines.push(...groups.map((each) => line([each.group, ...cells(each), bounds(each)])))
  }
  return `${lines.join("\n")}\n`
}

const WIDTHS = [10, 8, 7, 8, 8, 10, 8, 7, 10, 0]
const line = (texts: readonly string[]): string =>
  texts
    .map((text, i) => text.padEnd(WIDTHS[i] ?? 0))
    .join(" ")
    .trimEnd()

const cells = ({ metrics, capture }: EvaluationMetrics | BacktestMonth): string[] => [
  String(metrics.rows),
  String(metrics.events),
  metrics.auc?.toFixed(3) ?? "—",
  metrics.prAuc?.toFixed(3) ?? "—",
  metrics.logLoss.toFixed(4),
  metrics.ece.toFixed(4),
  metrics.lift?.toFixed(2) ?? "—",
  percent(capture),
]

const percent = (share: number | null): string => (share === null ? "—" : `${(100 * share).toFixed(1)} %`)
const bounds = ({ intervals: { auc } }: EvaluationMetrics): string =>
  auc === undefined ? "—" : `${auc[0].toFixed(3)} to ${auc[1].toFixed(3)}`
