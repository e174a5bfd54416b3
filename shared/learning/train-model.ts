/**
 * Trains an artefact from labelled rows: candidates evaluated out of fold, the choice between them, calibration on the same
 * out-of-fold scores, a final fit on all rows, and the references for monitoring. A function of rows (in any order), settings
 * and seed.
 */
import type { Artefact } from "../scoring/model/artefact.ts"
import { calibrate, probabilityOf } from "../scoring/model/calibrate.ts"
import { featureHash } from "../scoring/model/feature-hash.ts"
import {
  type Candidate,
  GBDT_SETTINGS,
  gamCandidate,
  gbdtCandidate,
  type Monotone,
  type OnProgress,
} from "./candidates.ts"
import { type Choice, choose } from "./choose.ts"
import { type CanonicalData, canonicalData, dataHash, type LabelledRows } from "./data/labelled-rows.ts"
import { chooseCalibration } from "./evaluation/calibration.ts"
import { assignFolds, type Fold } from "./evaluation/folds.ts"
import { type Interval, intervalsOf, type MetricName, type Metrics, metricsOf } from "./evaluation/metrics.ts"
import { confidenceOf, referenceOf, scoreReferenceOf } from "./evaluation/reference.ts"

export interface TrainSettings {
  readonly kind: "gam" | "gbdt" | "auto"
  readonly seed: number
  /** ISO 8601. Given, because training does not read the clock. */
  readonly trainedAt: string
  readonly label: string
  /** Monotone features: 1, the score never falls as the value rises; −1, it never rises. */
  readonly monotone?: Monotone
  /** The time after a row until its outcome is known; for rows with times. */
  readonly horizonMs?: number
  /** Notes for the model card, in addition to those of the training. */
  readonly notes?: Readonly<Record<string, string | number>>
}

export interface TrainedModel {
  readonly artefact: Artefact
  /** Out-of-fold rows, by their index in the original order. */
  readonly outOfFold: {
    readonly places: Uint32Array
    readonly raw: Float64Array
    /** Calibrated. */
    readonly probabilities: Float64Array
    readonly outcomes: Uint8Array
  }
  readonly metrics: Metrics
  readonly intervals: Partial<Record<MetricName, Interval>>
  readonly candidates: readonly { readonly name: string; readonly logLoss: number }[]
}

/** Trains a model. Throws `CannotTrain` if rows or settings allow none. */
export const trainModel = (
  rows: LabelledRows,
  settings: TrainSettings,
  onProgress: OnProgress = () => {},
): Promise<TrainedModel> => trainFrom(rows, settings, allCandidates, onProgress)

/**
 * Trains a scorecard. Separate, so that callers without trees do not bundle the tree trainer. `columnsMax` bounds the time,
 * which grows with its third power.
 */
export const trainScorecard = (
  rows: LabelledRows,
  settings: Omit<TrainSettings, "kind">,
  columnsMax?: number,
): Promise<TrainedModel> =>
  trainFrom(
    rows,
    settings,
    (data, folds, { monotone = {} }, onProgress) => [gamCandidate(data, folds, monotone, onProgress, columnsMax)],
    () => {},
  )

type MakeCandidates<Settings> = (
  data: CanonicalData,
  folds: readonly Fold[],
  settings: Settings,
  onProgress: OnProgress,
) => Candidate[]

async function trainFrom<Settings extends Omit<TrainSettings, "kind">>(
  rows: LabelledRows,
  settings: Settings,
  makeCandidates: MakeCandidates<Settings>,
  onProgress: OnProgress,
): Promise<TrainedModel> {
  const data = canonicalData(rows)
  const folds = assignFolds(data, settings)
  const candidates = makeCandidates(data, folds, settings, onProgress)
  const choice = choose(candidates, data)
  onProgress("calibration")
  const tested = outOfFoldRows(data, choice, folds)
  const { calibration, losses } = chooseCalibration(tested.raw, tested.outcomes, tested.folds)
  const probabilities = tested.raw.map((raw) => probabilityOf(calibrate(calibration, raw)))
  const metrics = metricsOf(probabilities, tested.outcomes)
  const groups = tested.customers
  const intervals = intervalsOf(probabilities, tested.outcomes, { seed: settings.seed, groups })
  const parts = choice.parts.flatMap(({ candidate, weight }) => {
    onProgress(`${candidate.name}: all rows`)
    return candidate.fit(data).map((part) => ({ weight: weight * part.weight, model: part.model }))
  })
  const { features } = data.matrix
  const artefact: Artefact = {
    format: "churn-saver-model/1",
    kind: choice.parts.length > 1 ? "blend" : (choice.parts[0]?.candidate.kind ?? "gam"),
    features: [...features],
    featureHash: await featureHash(features),
    parts,
    calibration,
    offsetDeviation: 0,
    confidence: confidenceOf(probabilities, tested.outcomes),
    training: {
      trainedAt: settings.trainedAt,
      dataHash: await dataHash(data),
      rows: data.outcomes.length,
      events: data.events,
      ...periodOf(data),
      label: settings.label,
      seed: settings.seed,
      metrics: evaluationMetrics(metrics, intervals),
      notes: { ...settings.notes, ...notesOf(choice, candidates, calibration.kind, losses, folds, data) },
      reference: referenceOf(data.matrix),
      scoreReference: scoreReferenceOf(probabilities),
    },
  }
  const places = Uint32Array.from(tested.rows, (row) => data.places[row] ?? 0)
  return {
    artefact,
    outOfFold: { places, raw: tested.raw, probabilities, outcomes: tested.outcomes },
    metrics,
    intervals,
    candidates: candidates.map(({ name, logLoss }) => ({ name, logLoss })),
  }
}

function allCandidates(
  data: CanonicalData,
  folds: readonly Fold[],
  settings: TrainSettings,
  onProgress: OnProgress,
): Candidate[] {
  const { kind, seed, monotone = {} } = settings
  const candidates: Candidate[] = []
  if (kind !== "gbdt") candidates.push(gamCandidate(data, folds, monotone, onProgress))
  if (kind !== "gam") {
    for (const [name, options] of Object.entries(GBDT_SETTINGS)) {
      candidates.push(gbdtCandidate(data, folds, { name, options: { ...options, seed, monotone } }, onProgress))
    }
  }
  return candidates
}

/** The rows that are in a test fold, in canonical order. */
function outOfFoldRows(data: CanonicalData, choice: Choice, folds: readonly Fold[]) {
  const foldOf = new Int32Array(data.outcomes.length).fill(-1)
  folds.forEach(({ test }, fold) => {
    for (const row of test) foldOf[row] = fold
  })
  const rows = Uint32Array.from(foldOf.keys()).filter((row) => (foldOf[row] ?? -1) >= 0)
  return {
    rows,
    raw: Float64Array.from(rows, (row) => choice.outOfFold[row] ?? 0),
    outcomes: Uint8Array.from(rows, (row) => data.outcomes[row] ?? 0),
    folds: Int32Array.from(rows, (row) => foldOf[row] ?? 0),
    customers: data.customers === null ? null : Int32Array.from(rows, (row) => data.customers?.[row] ?? 0),
  }
}

function periodOf({ times }: CanonicalData): { from: string | null; to: string | null } {
  if (times === null) return { from: null, to: null }
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const time of times) {
    from = Math.min(from, time)
    to = Math.max(to, time)
  }
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
}

/** Metrics by name, with the bounds of their intervals as `aucLow` and `aucHigh`. Undefined ones are left out. */
export function evaluationMetrics(metrics: Metrics, intervals: TrainedModel["intervals"]): Record<string, number> {
  const { auc, prAuc, logLoss, brier, ece, accuracy, baseRate, lift } = metrics
  const values = { auc, prAuc, logLoss, brier, ece, accuracy, baseRate, lift }
  const bounds = Object.entries(intervals).flatMap(([name, [low, high]]) => [
    [`${name}Low`, low] as const,
    [`${name}High`, high] as const,
  ])
  return Object.fromEntries(
    [...Object.entries(values), ...bounds].flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  )
}

function notesOf(
  choice: Choice,
  candidates: readonly Candidate[],
  calibration: string,
  losses: Readonly<Record<string, number>>,
  folds: readonly Fold[],
  { times, customers }: CanonicalData,
): Record<string, string | number> {
  const tried = candidates.map(({ name, logLoss }) => `${name}: ${logLoss.toFixed(4)}`)
  const calibrated = Object.entries(losses).map(([name, loss]) => `${name}: ${loss.toFixed(4)}`)
  const by =
    times !== null
      ? "later rows, none with the future in training"
      : customers !== null
        ? "customers"
        : "rows, copies together"
  return {
    tried: tried.join("; "),
    chosen: choice.parts.map(({ candidate, weight }) => `${weight} × ${candidate.name}`).join(" + "),
    because: choice.because,
    calibration: `${calibration} (${calibrated.join("; ")})`,
    validation: `${folds.length} folds of ${by}`,
  }
}
