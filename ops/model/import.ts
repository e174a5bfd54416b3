/** `import`: converts a model trained elsewhere to an artefact, which is served, explained and monitored like our own. */
import { createHash } from "node:crypto"
import { readFile, writeFile } from "node:fs/promises"
import { z } from "zod"
import type { Matrix } from "../../shared/learning/data/matrix.ts"
import { chooseCalibration } from "../../shared/learning/evaluation/calibration.ts"
import { METRIC_NAMES, metricsOf } from "../../shared/learning/evaluation/metrics.ts"
import { confidenceOf, referenceOf, scoreReferenceOf } from "../../shared/learning/evaluation/reference.ts"
import {
  CannotImport,
  importXgboost,
  type XgboostImport,
  type XgboostOptions,
} from "../../shared/learning/xgboost-import.ts"
import { type Artefact, artefactSchema, type Calibration } from "../../shared/scoring/model/artefact.ts"
import { calibrate, logitOf, probabilityOf } from "../../shared/scoring/model/calibrate.ts"
import { featureHash } from "../../shared/scoring/model/feature-hash.ts"
import { InvalidArtefact } from "../../shared/scoring/model/invalid-artefact.ts"
import { type Model, prepareModel } from "../../shared/scoring/model/model.ts"
import { scoreTable } from "./data/model-file.ts"
import { openTable } from "./data/read-table.ts"
import { type Evaluation, evaluateTable } from "./evaluate.ts"
import { InputError, type Output, pathOf, readOptions, required, type Subcommand } from "./subcommand.ts"
import { instantOf } from "./train/options.ts"

const HELP = `npm run model -- import --xgboost FILE --out FILE --label NAME [options]

Converts XGBoost's JSON to an artefact: the output of Booster.save_model("x.json"), or of a dump with statistics
(dump_model("x.json", with_stats=True, dump_format="json")). Predictions equal XGBoost's. With rows of known
outcome, the artefact also gets metrics, intervals and the reference for drift; without them its quality is unknown, and no
gate lets it serve.

  --xgboost FILE    the model
  --label NAME      what it predicts; with --data also the column of the outcomes
  --out FILE        where the artefact is written
  --features FILE   JSON of the features in order, [{ "name", "type": "number" | "category", "levels" }]: needed for
                    categories, whose codes are places in "levels"
  --base-score P    a probability; for dumps, which do not contain it
  --all-trees       trees beyond the best iteration too
  --data FILE       rows that it was not trained on, CSV or CSV in gzip
  --positive VALUE  the label's value that means "left"
  --calibrate       fits a calibration to these rows where it helps; predictions then differ from XGBoost's
  --trained-at T    the time that is written down (now)
  --json            what was written, for machines
`

const OPTIONS = {
  xgboost: { type: "string" },
  label: { type: "string" },
  out: { type: "string" },
  features: { type: "string" },
  "base-score": { type: "string" },
  "all-trees": { type: "boolean", default: false },
  data: { type: "string" },
  positive: { type: "string" },
  calibrate: { type: "boolean", default: false },
  "trained-at": { type: "string" },
  json: { type: "boolean", default: false },
} as const

export const importModel: Subcommand = {
  name: "import",
  summary: "makes an artefact of a model that XGBoost trained",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const [source, out] = [pathOf(required(values.xgboost, "xgboost")), pathOf(required(values.out, "out"))]
    const label = required(values.label, "label")
    const trainedAt = instantOf(values["trained-at"], "trained-at")
    if (values.calibrate && values.data === undefined) throw new InputError("--calibrate needs rows: --data.")
    const imported = importFrom(await textOf(source), await optionsOf(values))
    const bare = await bareArtefact(imported, label, trainedAt)
    const artefact = values.data === undefined ? bare : await measured(bare, pathOf(values.data), values, output)
    const text = `${JSON.stringify(artefact)}\n`
    await writeFile(out, text)
    const { trees, treesInFile } = imported
    const { metrics } = artefact.training
    const hash = createHash("sha256").update(text).digest("hex")
    const summary = {
      model: out,
      sha256: hash,
      bytes: text.length,
      trees,
      treesInFile,
      features: artefact.features.length,
      metrics,
    }
    if (values.json) output.out(`${JSON.stringify(summary)}\n`)
    else
      output.out(
        `${out}: ${trees} of ${treesInFile} trees, ${artefact.features.length} features, ${text.length} bytes.\n`,
      )
  },
}

async function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new InputError(`${path} cannot be read (${error instanceof Error && "code" in error ? error.code : error}).`)
  })
}

function importFrom(text: string, options: XgboostOptions): XgboostImport {
  try {
    return importXgboost(text, options)
  } catch (error) {
    if (error instanceof CannotImport) throw new InputError(`The model cannot be imported: ${error.message}.`)
    throw error
  }
}

const featuresSchema = z.array(artefactSchema.unwrap().shape.features.element)

async function optionsOf(values: {
  readonly features?: string | undefined
  readonly "base-score"?: string | undefined
  readonly "all-trees": boolean
}): Promise<XgboostOptions> {
  const { features: path, "base-score": base, "all-trees": allTrees } = values
  const baseScore = base === undefined ? undefined : Number(base)
  if (baseScore !== undefined && !(baseScore > 0 && baseScore < 1))
    throw new InputError("--base-score is between 0 and 1.")
  return {
    allTrees,
    ...(baseScore !== undefined && { baseScore }),
    ...(path !== undefined && { features: featuresFrom(path, await textOf(pathOf(path))) }),
  }
}

function featuresFrom(path: string, text: string) {
  try {
    return featuresSchema.parse(JSON.parse(text))
  } catch {
    throw new InputError(`${path} is no list of features: [{ "name", "type": "number" | "category", "levels" }].`)
  }
}

/** The artefact of the trees alone. Throws `InputError` if they are not valid. */
async function bareArtefact({ features, model }: XgboostImport, label: string, trainedAt: string): Promise<Artefact> {
  const artefact: Artefact = {
    format: "churn-saver-model/1",
    kind: "gbdt",
    features,
    featureHash: await featureHash(features),
    parts: [{ weight: 1, model }],
    calibration: { kind: "none" },
    offsetDeviation: 0,
    confidence: [],
    training: {
      ...{ trainedAt, dataHash: "", rows: 0, events: 0, from: null, to: null, label, seed: 0 },
      metrics: {},
      notes: { source: "XGBoost" },
      reference: features.map((feature) => ({
        missing: 0,
        shares: feature.type === "category" ? feature.levels.map(() => 0) : [],
      })),
      scoreReference: { cuts: [], shares: [] },
    },
  }
  await prepared(artefact)
  return artefact
}

async function prepared(artefact: Artefact): Promise<Model> {
  try {
    return await prepareModel(artefact)
  } catch (error) {
    if (error instanceof InvalidArtefact) throw new InputError(`The model cannot be imported: ${error.message}.`)
    throw error
  }
}

/** The artefact with metrics, confidence and references from rows and, if requested, a calibration. */
async function measured(
  artefact: Artefact,
  path: string,
  options: { readonly label?: string | undefined; readonly positive?: string | undefined; readonly calibrate: boolean },
  output: Output,
): Promise<Artefact> {
  const model = await prepared(artefact)
  const evaluation = await evaluateTable(model, path, { ...options, seed: 0 }, output)
  const calibration = options.calibrate ? calibrationOf(evaluation) : artefact.calibration
  const probabilities = evaluation.probabilities.map((p) => probabilityOf(calibrate(calibration, logitOf(p))))
  const metrics = metricsOf(probabilities, evaluation.outcomes)
  const values = [
    ...METRIC_NAMES.map((name) => [name, metrics[name]] as const),
    ["baseRate", metrics.baseRate] as const,
  ]
  const { training } = artefact
  return {
    ...artefact,
    calibration,
    confidence: confidenceOf(probabilities, evaluation.outcomes),
    training: {
      ...training,
      rows: metrics.rows,
      events: metrics.events,
      metrics: Object.fromEntries(values.flatMap(([name, value]) => (value === null ? [] : [[name, value]]))),
      notes: { ...training.notes, positive: evaluation.label.positive, figures: "on rows that were given at import" },
      reference: referenceOf(await matrixOf(model, path, output)),
      scoreReference: scoreReferenceOf(probabilities),
    },
  }
}

function calibrationOf({ probabilities, outcomes }: Evaluation): Calibration {
  const folds = Int32Array.from(probabilities, (_, row) => row)
  return chooseCalibration(probabilities.map(logitOf), outcomes, folds).calibration
}

/** The encoded inputs of a table. */
async function matrixOf(model: Model, path: string, output: Output): Promise<Matrix> {
  const parts: (readonly Float64Array[])[] = []
  let rows = 0
  for await (const block of scoreTable(model, await openTable(path, output), new Map())) {
    parts.push(block.columns)
    rows += block.rows.length
  }
  const { features } = model.artefact
  const columns = features.map((_, input) => {
    const column = new Float64Array(rows)
    let at = 0
    for (const part of parts) {
      column.set(part[input] ?? [], at)
      at += part[input]?.length ?? 0
    }
    return column
  })
  return { features, columns, rows }
}
