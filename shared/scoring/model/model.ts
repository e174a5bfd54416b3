/**
 * The evaluator: the only reader of artefacts, in the Worker, in training and in tests. A model is prepared once (parsed,
 * decoded, checked) and scores many times. Raw log-odds are the weighted sum of the parts; then they are calibrated, and the
 * caller's offset of the company is added.
 */
import { type Artefact, artefactSchema, type GamModel, type GbdtModel, type ModelFeature } from "./artefact.ts"
import { calibrate, checkCalibration, probabilityOf } from "./calibrate.ts"
import { featureHash } from "./feature-hash.ts"
import { FOREST_BOUNDS, type Forest, LOG_ODDS_MAX, prepareForest, rawForestScore, rawForestScores } from "./forest.ts"
import { assertArtefact, InvalidArtefact } from "./invalid-artefact.ts"
import { type Offsets, splitOffsets } from "./offsets.ts"
import { prepareScorecard, rawScorecardScore, rawScorecardScores, type Scorecard } from "./scorecard.ts"

type Part =
  | { readonly kind: "gam"; readonly weight: number; readonly scorecard: Scorecard }
  | { readonly kind: "gbdt"; readonly weight: number; readonly forest: Forest }

export type Model = {
  readonly artefact: Artefact
  /** By company: from an artefact of the older form, or in the tools from the file beside it. */
  readonly offsets: Offsets
  readonly parts: readonly Part[]
  /** For each category the indices of its levels by name; null for a number. */
  readonly levels: readonly (ReadonlyMap<string, number> | null)[]
  /** Mean raw log-odds of the training rows. */
  readonly expectedRaw: number
}

/** The model of an untrusted document; throws InvalidArtefact with the reason if it is not valid. */
export async function prepareModel(document: unknown): Promise<Model> {
  const { rest, offsets } = splitOffsets(document)
  const parsed = artefactSchema.safeParse(rest)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new InvalidArtefact(`not a model of this format: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`)
  }
  const artefact = parsed.data
  const { features } = artefact
  assertArtefact(features.length < INPUTS_MAX, "there are too many features")
  assertArtefact(new Set(features.map(({ name }) => name)).size === features.length, "two features have one name")
  assertArtefact(artefact.featureHash === (await featureHash(features)), "the feature hash is not that of the features")
  checkCalibration(artefact.calibration)
  const parts = artefact.parts.map(({ weight, model }): Part => {
    assertArtefact(weight <= LOG_ODDS_MAX, "a weight is out of range")
    return preparePart(features, model, weight)
  })
  const work = explanationCost({ parts })
  assertArtefact(
    work <= FOREST_BOUNDS.work,
    `explaining one row takes ${work} steps (leaves × depth²) over all parts, and may take ${FOREST_BOUNDS.work}`,
  )
  const kinds = new Set(parts.map(({ kind }) => kind))
  assertArtefact(
    artefact.kind === "blend" || (kinds.size === 1 && kinds.has(artefact.kind)),
    "the parts are not of the model's kind",
  )
  const levels = features.map((feature) => {
    if (feature.type === "number") return null
    const places = new Map(feature.levels.map((level, place) => [level, place]))
    assertArtefact(places.size === feature.levels.length, "two levels of a category have one name")
    return places
  })
  const expectedRaw = parts.reduce((sum, part) => {
    return sum + part.weight * (part.kind === "gam" ? part.scorecard.expected : part.forest.expected)
  }, 0)
  return { artefact, offsets, parts, levels, expectedRaw }
}

/** The cost of explaining one row, see `FOREST_BOUNDS`; that of scorecards is negligible. */
export const explanationCost = ({ parts }: Pick<Model, "parts">): number =>
  parts.reduce((sum, part) => sum + (part.kind === "gbdt" ? part.forest.work : 0), 0)

/** The highest 16-bit number marks a leaf. */
const INPUTS_MAX = 65_535

function preparePart(features: readonly ModelFeature[], model: GamModel | GbdtModel, weight: number): Part {
  return model.kind === "gam"
    ? { kind: "gam", weight, scorecard: prepareScorecard(model, features) }
    : { kind: "gbdt", weight, forest: prepareForest(model, features) }
}

/**
 * A row for the model: finite numbers, indices of levels, NaN for missing. `missing` are features without a value, `unknown`
 * those with an unusable value: of another type, not finite, or a level not seen in training. `coverage` is the share of
 * features with a usable value.
 */
export type Encoded = {
  readonly vector: Float64Array
  readonly missing: readonly string[]
  readonly unknown: readonly string[]
  readonly coverage: number
}

/** The row of an unvalidated record of names and values; names that are not inputs are ignored. */
export function encode(model: Model, record: Readonly<Record<string, unknown>>): Encoded {
  const vector = new Float64Array(model.levels.length).fill(Number.NaN)
  const missing: string[] = []
  const unknown: string[] = []
  for (const [input, { name }] of model.artefact.features.entries()) {
    const value = Object.hasOwn(record, name) ? record[name] : undefined
    if (value === undefined || value === null || value === "") {
      missing.push(name)
      continue
    }
    const places = model.levels[input]
    const usable = places ? (typeof value === "string" ? places.get(value) : undefined) : finiteOf(value)
    if (usable === undefined) unknown.push(name)
    else vector[input] = usable
  }
  return { vector, missing, unknown, coverage: 1 - (missing.length + unknown.length) / vector.length }
}

const finiteOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined

/** Log-odds before calibration, log-odds after it with the company's offset, and the probability of those. */
export type Score = { readonly raw: number; readonly logit: number; readonly probability: number }

/** The score of a row that `encode` or a trainer's table made; `offset` is what its company adds in log-odds. */
export function score(model: Model, vector: Float64Array, offset = 0): Score {
  const row = checkedRow(model, vector)
  let raw = 0
  for (const part of model.parts) {
    const partly = part.kind === "gam" ? rawScorecardScore(part.scorecard, row) : rawForestScore(part.forest, row)
    raw += part.weight * partly
  }
  const logit = calibrate(model.artefact.calibration, raw) + offset
  return { raw, logit, probability: probabilityOf(logit) }
}

/** The row with infinities as missing; throws RangeError if its width differs from the model's. */
export function checkedRow(model: Model, vector: Float64Array): Float64Array {
  if (vector.length !== model.levels.length) throw new RangeError("the row is not of this model's features")
  return vector.map((value) => (Number.isFinite(value) ? value : Number.NaN))
}

/** Raw log-odds of many rows given as columns, one per feature; bit-identical to `score` row by row. */
export function rawScores(model: Model, columns: readonly Float64Array[], rows: number): Float64Array {
  checkColumns(model.levels.length, columns, rows)
  const sums = new Float64Array(rows)
  for (const part of model.parts) addPart(sums, part, columns)
  return sums
}

/** Probabilities of many rows; `offsets` is what the company of each row adds in log-odds. */
export function scoreMany(
  model: Model,
  columns: readonly Float64Array[],
  rows: number,
  offsets?: ArrayLike<number>,
): Float64Array {
  const { calibration } = model.artefact
  const scores = rawScores(model, columns, rows)
  for (let row = 0; row < rows; row++) {
    scores[row] = probabilityOf(calibrate(calibration, scores[row] ?? 0) + (offsets?.[row] ?? 0))
  }
  return scores
}

/** Raw log-odds of many rows by a single part, for trainers that have no artefact yet. */
export function rawScoresOfPart(
  features: readonly ModelFeature[],
  part: GamModel | GbdtModel,
  columns: readonly Float64Array[],
  rows: number,
): Float64Array {
  checkColumns(features.length, columns, rows)
  const sums = new Float64Array(rows)
  addPart(sums, preparePart(features, part, 1), columns)
  return sums
}

function addPart(sums: Float64Array, part: Part, columns: readonly Float64Array[]): void {
  const rows = sums.length
  const partly =
    part.kind === "gam"
      ? rawScorecardScores(part.scorecard, columns, rows)
      : rawForestScores(part.forest, columns, rows)
  for (let row = 0; row < rows; row++) sums[row] = (sums[row] ?? 0) + part.weight * (partly[row] ?? 0)
}

function checkColumns(width: number, columns: readonly Float64Array[], rows: number): void {
  if (columns.length !== width || columns.some((column) => column.length < rows)) {
    throw new RangeError("the columns are not of this model's features")
  }
}
