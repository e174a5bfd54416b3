/** `train --from-ledger`: our own ledger, with the features and the label of live scoring. */
import { HORIZON_DAYS } from "../../../shared/domain/scoring/churn-label.ts"
import { plausibleDirections } from "../../../shared/learning/data/feature-matrix.ts"
import { leakWarnings } from "../../../shared/learning/data/leakage.ts"
import { withOffsets } from "../../../shared/learning/pooled.ts"
import { trainModel } from "../../../shared/learning/train-model.ts"
import { CannotTrain } from "../../../shared/learning/training-error.ts"
import { LEDGER_HELP, LEDGER_OPTIONS, readLedger } from "../data/read-ledger.ts"
import { InputError, readOptions } from "../subcommand.ts"
import { monotoneOf, readTrainOptions, TRAIN_OPTIONS, writeModel } from "./options.ts"
import type { TrainSource } from "./source.ts"

const OPTIONS = { ...TRAIN_OPTIONS, ...LEDGER_OPTIONS, anonymous: { type: "boolean", default: false } } as const

const HELP = `${LEDGER_HELP}  --anonymous       do not write the file of the companies' offsets; the model itself contains no ids
`

const DAY_MS = 86_400_000

/** The name of the ledger's label. */
export const LEDGER_LABEL = "access_lost"

export const fromLedger: TrainSource = {
  option: "from-ledger",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const options = readTrainOptions(values)
    const { rows, companies, ends } = await readLedger(values, output)
    const monotone =
      values.monotone === undefined ? plausibleDirections : monotoneOf(values.monotone, rows.matrix.features)
    const notes = {
      source: "ledger",
      positive: "1",
      ...Object.fromEntries(Object.entries(ends).map(([end, count]) => [`left: ${end}`, count])),
    }
    const settings = { ...options, label: LEDGER_LABEL, monotone, notes, horizonMs: HORIZON_DAYS * DAY_MS }
    try {
      const pooled = await trainModel(rows, settings, output.progress)
      const { customers, groups } = rows
      const shared =
        companies.length > 1 ? withOffsets(pooled, { customers, groups, groupName: "company" }, options.seed) : null
      const trained = shared ?? pooled
      for (const warning of leakWarnings(rows.matrix, rows.outcomes, trained.metrics.auc))
        output.err(`Leak? ${warning}\n`)
      await writeModel(trained, values, output, values.anonymous ? undefined : shared?.offsets)
    } catch (error) {
      if (error instanceof CannotTrain) throw new InputError(`Too little to learn from: ${error.message}.`)
      throw error
    }
  },
}
