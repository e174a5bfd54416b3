/** `validate`: whether a model may serve, on unseen rows: quality gates, and comparison with the champion. */

import { modelFeatures } from "../../shared/domain/scoring/features.ts"
import { type Comparison, compareModels } from "../../shared/learning/evaluation/metrics.ts"
import { calibrationDrift } from "../../shared/learning/monitoring/calibration-drift.ts"
import { completenessOf } from "../../shared/learning/monitoring/quality.ts"
import { explain } from "../../shared/scoring/explain.ts"
import { evaluateGates, type Gate } from "../../shared/scoring/gates.ts"
import { InvalidArtefact } from "../../shared/scoring/model/invalid-artefact.ts"
import { type Model, prepareModel } from "../../shared/scoring/model/model.ts"
import { CommandError, DEPLOYMENT_HELP, DEPLOYMENT_OPTIONS, type Deployment, deploymentOf } from "../deployment.ts"
import { championOf, EXPORT_GROUP, EXPORT_LABEL, withExport } from "./data/from-ledger.ts"
import { readModel } from "./data/model-file.ts"
import { readTable } from "./data/read-table.ts"
import { type Evaluation, evaluateTable } from "./evaluate.ts"
import { deploymentOptionsOf } from "./export.ts"
import { InputError, type Output, pathOf, readOptions, required, type Subcommand, wholeNumber } from "./subcommand.ts"

const HELP = `npm run model -- validate --model FILE (--data FILE [--label COL] | --from-ledger) [options]

Evaluates a model on unseen rows with the registry's quality gates: ROC AUC, calibration, accuracy against the base rate,
completeness of the data compared with training, and the time of one prediction; and compares it with the champion on the
same rows (paired bootstrap).

  --model FILE      the output of train
  --data FILE       CSV, or CSV in gzip
  --label COL       the outcome (the one that the model was trained on)
  --positive VALUE  the label's value that means "left" (as in training)
  --id COL          the customer: the bootstrap resamples customers instead of rows
  --from-ledger     the anonymised matured labels of a deployment instead of --data; compares with its champion
  --against FILE    another model to compare with instead of the champion
  --seed N          of the bootstrap (1)
${DEPLOYMENT_HELP}
Exit code 0: every gate passes and the champion is not significantly better; 3: otherwise.
`

const { help: _help, ...COMMON } = DEPLOYMENT_OPTIONS
const OPTIONS = {
  ...COMMON,
  model: { type: "string" },
  data: { type: "string" },
  label: { type: "string" },
  positive: { type: "string" },
  id: { type: "string" },
  "from-ledger": { type: "boolean", default: false },
  against: { type: "string" },
  seed: { type: "string" },
} as const

/** The model may not serve. Exit code 3, because that is a result and not a failure of the command. */
class NotValid extends CommandError {
  override readonly exitCode = 3
}

/** The result for a model. */
export interface Validation {
  readonly isValid: boolean
  readonly rows: number
  readonly events: number
  readonly gates: readonly Gate[]
  /** The champion's name, and the model's gain over it; null without a champion. */
  readonly champion: string | null
  readonly comparison: Comparison | null
  readonly verdict: "better" | "no_worse" | "worse" | "no_champion"
}

/** The rows, and their columns. */
interface Rows {
  readonly path: string
  readonly label?: string | undefined
  readonly positive?: string | undefined
  readonly id?: string | undefined
  readonly seed: number
  /** Whether the rows are from a deployment; then the model may have no other inputs than our features. */
  readonly isFromLedger: boolean
}

/** Validates a model on rows, and compares it with the champion. */
export async function validateModel(
  model: Model,
  champion: { readonly name: string; readonly model: Model } | null,
  rows: Rows,
  output: Output,
): Promise<Validation> {
  const evaluation = await evaluateTable(model, rows.path, rows, output)
  const { metrics, probabilities, outcomes, customers } = evaluation
  const known = new Map(modelFeatures.map(({ name, type }) => [name, type]))
  const { features } = model.artefact
  const { gates, isPassed } = evaluateGates({
    metrics: numbersOf(evaluation),
    unknownFeatures: rows.isFromLedger
      ? features.flatMap(({ name, type }) => (known.get(name) === type ? [] : [name]))
      : [],
    dataQuality: await completenessIn(model, rows.path, output),
    p95Ms: latencyOf(model),
    isStrict: true,
  })
  let comparison: Comparison | null = null
  if (champion !== null) {
    const other = await evaluateTable(champion.model, rows.path, rows, output)
    comparison = compareModels(probabilities, other.probabilities, outcomes, { seed: rows.seed, groups: customers })
  }
  const verdict = verdictOf(comparison)
  const { rows: count, events } = metrics
  const isValid = isPassed && verdict !== "worse"
  return { isValid, rows: count, events, gates, champion: champion?.name ?? null, comparison, verdict }
}

function verdictOf(comparison: Comparison | null): Validation["verdict"] {
  if (comparison === null) return "no_champion"
  const [low, high] = comparison.logLoss.interval
  return low > 0 ? "better" : high < 0 ? "worse" : "no_worse"
}

/** The gate's limit: a calibration error within chance for the number of rows counts as at most this. */
const ECE_MAX = 0.03

function numbersOf({ metrics, probabilities, outcomes }: Evaluation): Record<string, number> {
  const rows = Array.from(probabilities, (probability, row) => ({ probability, isChurned: outcomes[row] === 1 }))
  const drift = calibrationDrift(rows)
  const isByChance = drift !== null && drift.ece <= drift.eceLimit
  const ece = isByChance ? Math.min(metrics.ece, ECE_MAX) : metrics.ece
  const { auc, accuracy, baseRate } = metrics
  return { ece, accuracy, baseRate, ...(auc !== null && { auc }) }
}

/** How complete the model's inputs are in the rows, compared with its training. */
async function completenessIn({ artefact }: Model, path: string, output: Output): Promise<number> {
  const { columns, rows } = await readTable(path, output)
  return completenessOf(
    artefact.features.map(({ name }, input) => {
      const column = columns.find((one) => one.name === name)
      const missing = column
        ? column.numbers.reduce((sum, value, row) => {
            return sum + Number(Number.isNaN(value) && (column.places?.[row] ?? -1) < 0)
          }, 0)
        : rows
      return [missing / rows, artefact.training.reference[input]?.missing ?? 0] as const
    }),
  )
}

/** Number of timed predictions, each with its explanation. */
const TIMED = 200

/** 95th percentile in milliseconds of a prediction with its explanation, on this machine. */
function latencyOf(model: Model): number {
  const times = Float64Array.from({ length: TIMED }, (_, row) => {
    const vector = Float64Array.from(model.artefact.features, (feature, input) => {
      const cuts = model.artefact.training.reference[input]?.cuts ?? []
      if (feature.type === "category") return feature.levels.length === 0 ? Number.NaN : row % feature.levels.length
      return cuts[(row + input) % Math.max(1, cuts.length)] ?? row
    })
    const start = performance.now()
    explain(model, vector)
    return performance.now() - start
  }).sort()
  return times[Math.floor(0.95 * TIMED)] ?? 0
}

export const validate: Subcommand = {
  name: "validate",
  summary: "checks a model against the quality gates and the champion; sets the exit code",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const model = await readModel(pathOf(required(values.model, "model")))
    const seed = wholeNumber(values.seed, "seed", { min: 0, max: 2 ** 31 - 1, fallback: 1 })
    const against = values.against === undefined ? null : { name: values.against, path: pathOf(values.against) }
    const chosen = against && { name: against.name, model: await readModel(against.path) }
    if (values["from-ledger"] === (values.data !== undefined)) {
      throw new InputError("Name the rows: --data FILE or --from-ledger, and not both. --help says more.")
    }
    let validation: Validation
    if (values["from-ledger"]) {
      const deployment = deploymentOf(deploymentOptionsOf(values))
      const champion = chosen ?? (await servingModel(deployment))
      validation = await withExport(deployment, (path) => {
        const rows = { path, label: EXPORT_LABEL, positive: "1", id: EXPORT_GROUP, seed, isFromLedger: true }
        return validateModel(model, champion, rows, output)
      })
    } else {
      const path = pathOf(required(values.data, "data"))
      validation = await validateModel(model, chosen, { ...values, path, seed, isFromLedger: false }, output)
    }
    output.out(values.json ? `${JSON.stringify(validation)}\n` : linesOf(validation))
    if (!validation.isValid) throw new NotValid("The model may not serve.")
  },
}

async function servingModel(deployment: Deployment): Promise<{ readonly name: string; readonly model: Model } | null> {
  const champion = await championOf(deployment)
  if (champion === null) return null
  try {
    return { name: champion.version, model: await prepareModel(champion.artefact) }
  } catch (error) {
    if (error instanceof InvalidArtefact) throw new CommandError(`The champion is no model: ${error.message}.`)
    throw error
  }
}

function linesOf({ rows, events, gates, champion, comparison, verdict, isValid }: Validation): string {
  const gateLines = gates.map(({ name, status, value, because }) => {
    const shown = value === null ? "" : ` ${Number(value.toPrecision(4))}`
    return `  ${status.padEnd(8)}${name}${shown}: ${because}`
  })
  const against =
    comparison === null
      ? []
      : [
          `  ${verdict.replace("_", " ")} than ${champion}: log loss lower by ${comparison.logLoss.gain.toFixed(4)} [${comparison.logLoss.interval.map((bound) => bound.toFixed(4)).join(", ")}]`,
        ]
  return `${[`${rows} rows, ${events} of them left`, ...gateLines, ...against, isValid ? "valid" : "not valid"].join("\n")}\n`
}
