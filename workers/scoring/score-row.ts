/** One score: the prediction of a model or of rules from features, with reasons, interval and confidence. */

import { BASE_RATE_UNKNOWN, RULE_FEATURES, scoreByRules } from "../../shared/domain/scoring/health/rules.ts"
import {
  COVERAGE_MIN,
  RISK_THRESHOLDS,
  type RiskLevel,
  type RiskThresholds,
  riskLevelOf,
} from "../../shared/domain/scoring/health.ts"
import { confidenceOf, coverageOf } from "../../shared/scoring/confidence.ts"
import { explain } from "../../shared/scoring/explain.ts"
import { interval } from "../../shared/scoring/interval.ts"
import { type Encoded, encode, type Model, score } from "../../shared/scoring/model/model.ts"
import { exactContributions, type ScoreParts } from "../../shared/scoring/reasons.ts"
import type { NotScored, ScoreSource } from "../../shared/scoring/stored-values.ts"
import type { ServingModel } from "./serving.ts"

/** A prediction for one customer. */
export interface Prediction {
  readonly source: ScoreSource
  readonly modelSha256: string | null
  readonly modelVersion: string
  readonly probability: number
  readonly low: number
  readonly high: number
  readonly logOdds: number
  readonly coverage: number
  readonly confidence: number
  readonly notScored: NotScored | null
}

/** A prediction with its reasons, from a champion or from rules. */
export interface PredictionWithReasons extends Prediction {
  readonly baseRate: number
  readonly riskLevel: RiskLevel
  readonly parts: ScoreParts
}

/** Values by feature name, not validated: an unusable value counts as missing. */
export type FeatureRecord = Readonly<Record<string, unknown>>

/**
 * The prediction of the champion with the company's offset, or of rules if there is no champion. `thresholds` are the
 * company's risk levels.
 */
export function predictWithReasons(
  champion: ServingModel | null,
  record: FeatureRecord,
  thresholds: RiskThresholds = RISK_THRESHOLDS,
): PredictionWithReasons {
  if (champion === null) return byRules(record, thresholds)
  const { model, offset } = champion
  const encoded = encode(model, record)
  const { contributions, ...scored } = explain(model, encoded.vector, offset)
  const { logOdds, parts } = exactContributions(scored.logit, contributions, (name) => plainValue(record, name))
  const prediction = predictionOf(champion, encoded, scored.probability)
  const baseRate = baseRateOf(model)
  return {
    ...prediction,
    logOdds,
    baseRate,
    riskLevel: riskLevelOf(prediction.probability, baseRate, thresholds),
    parts,
  }
}

/** A model's prediction without reasons, for shadows: their predictions are never shown. */
export function predict(serving: ServingModel, record: FeatureRecord): Prediction {
  const encoded = encode(serving.model, record)
  const { logit, probability } = score(serving.model, encoded.vector, serving.offset)
  return { ...predictionOf(serving, encoded, probability), logOdds: logit }
}

function predictionOf({ model, sha256, version }: ServingModel, { vector }: Encoded, probability: number) {
  const { low, high } = interval(model, probability)
  const missing = model.artefact.training.reference.map((reference) => reference.missing)
  const coverage = coverageOf(
    Array.from(vector, (value) => !Number.isNaN(value)),
    missing,
  )
  return {
    ...{ source: "model" as const, modelSha256: sha256, modelVersion: version, probability, low, high, coverage },
    confidence: confidenceOf(coverage, { low, high }),
    notScored: notScoredOf(coverage),
  }
}

/** Rules are not calibrated, so their interval is 0 to 1 and their confidence 0. */
function byRules(record: FeatureRecord, thresholds: RiskThresholds): PredictionWithReasons {
  const input = Object.fromEntries(Object.keys(record).map((name) => [name, plainValue(record, name)]))
  const { version, probability, logOdds, base, reasons, coverage } = scoreByRules(input)
  return {
    ...{ source: "rules", modelSha256: null, modelVersion: version, probability, low: 0, high: 1, logOdds, coverage },
    confidence: 0,
    notScored: notScoredOf(coverage),
    baseRate: BASE_RATE_UNKNOWN,
    riskLevel: riskLevelOf(probability, BASE_RATE_UNKNOWN, thresholds),
    parts: { base, reasons },
  }
}

const notScoredOf = (coverage: number): NotScored | null => (coverage >= COVERAGE_MIN ? null : "coverage_too_low")

/** The share of training rows that churned; unknown if the artefact does not state its rows. */
function baseRateOf({ artefact: { training } }: Model): number {
  const { rows, events } = training
  return rows > 0 && events > 0 && events < rows ? events / rows : BASE_RATE_UNKNOWN
}

function plainValue(record: FeatureRecord, name: string): number | string | null {
  const value = Object.hasOwn(record, name) ? record[name] : null
  return typeof value === "string" || (typeof value === "number" && Number.isFinite(value)) ? value : null
}

/** Limits for names that are repeated in the response. */
const NAMES_SHOWN = 20
const NAME_CHARS_SHOWN = 64

/** The fields of a record that were not used: names that are not inputs, and values that do not fit their feature. */
export function unusedFields(champion: ServingModel | null, record: FeatureRecord) {
  const inputs: ReadonlySet<string> = new Set(
    champion === null ? RULE_FEATURES : champion.model.artefact.features.map(({ name }) => name),
  )
  const names = Object.keys(record)
  const unusable =
    champion === null
      ? names.filter((name) => inputs.has(name) && record[name] !== null && typeof record[name] !== "number")
      : encode(champion.model, record).unknown
  const shown = (some: readonly string[]) => some.slice(0, NAMES_SHOWN).map((name) => name.slice(0, NAME_CHARS_SHOWN))
  return { ignored: shown(names.filter((name) => !inputs.has(name))), unusable: shown(unusable) }
}
