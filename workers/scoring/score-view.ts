/** Scores in API responses. */
import type { PredictionRow, ScoreRow } from "../../db/queries/scoring/scores.ts"
import { featureSchema } from "../../shared/domain/scoring/features.ts"
import { COVERAGE_MIN } from "../../shared/domain/scoring/health.ts"
import { BASE, type Reason, type ScoreChange } from "../../shared/scoring/reasons.ts"
import type { NotScored } from "../../shared/scoring/stored-values.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import type { ScoreResult } from "./score.ts"
import type { PredictionWithReasons } from "./score-row.ts"

const LEVEL = 0.9

/** The error text for a customer whose facts kept changing during scoring. */
export const CONCURRENT_UPDATE =
  "So much is being told of the customer that a score would be old at once. Please try again."

/** Labels of codes that are not features. */
const OTHER_LABELS: ReadonlyMap<string, string> = new Map([
  ["company", "leaving is more or less usual at this company"],
  ["calibration", "correction by what became of others with such a score"],
  [BASE, "another model starts from another mean"],
])

const FEATURES: ReadonlyMap<string, { readonly label: string; readonly group: string }> = new Map(
  featureSchema.map(({ name, label, group }) => [name, { label, group }] as const),
)

const labelled = (code: string) => ({
  code,
  label: FEATURES.get(code)?.label ?? OTHER_LABELS.get(code) ?? code,
  group: FEATURES.get(code)?.group ?? null,
})

const showReason = ({ code, value, logOdds }: Reason) => ({ ...labelled(code), value, logOdds })

const showChange = ({ reasons, ...change }: ScoreChange) => ({
  ...change,
  reasons: reasons.map(({ code, logOdds }) => ({ ...labelled(code), logOdds })),
})

/** Why there is no score, in a sentence; `needed` is the required coverage. */
function showNotScored(reason: NotScored, coverage: number | null) {
  const detail =
    reason === "no_paid_access"
      ? "The customer has no paid access that could end."
      : "Too little of what the model asks for is known of the customer."
  return { reason, detail, coverage, needed: reason === "coverage_too_low" ? COVERAGE_MIN : null }
}

/** A prediction with all its reasons, or why it is not shown. */
export function showStoredPrediction({ config }: Pick<Services, "config">, prediction: PredictionWithReasons) {
  const { confidenceThreshold } = config.scoring
  const about = {
    source: prediction.source,
    model: prediction.modelSha256 === null ? null : { id: prediction.modelSha256, version: prediction.modelVersion },
    modelVersion: prediction.modelVersion,
    coverage: prediction.coverage,
  }
  if (prediction.notScored !== null) {
    return {
      ...NOTHING,
      ...about,
      status: "not_scored",
      notScored: showNotScored(prediction.notScored, prediction.coverage),
    } as const
  }
  return {
    status: "scored",
    notScored: null,
    probability: prediction.probability,
    interval: { low: prediction.low, high: prediction.high, level: LEVEL },
    riskLevel: prediction.riskLevel,
    baseRate: prediction.baseRate,
    logOdds: prediction.logOdds,
    base: prediction.parts.base,
    reasons: prediction.parts.reasons.map(showReason),
    confidence: prediction.confidence,
    confidenceThreshold,
    isConfident: prediction.confidence >= confidenceThreshold,
    ...about,
  } as const
}

const NOTHING = {
  ...{ probability: null, interval: null, riskLevel: null, baseRate: null, logOdds: null, base: null, reasons: [] },
  ...{ confidence: null, confidenceThreshold: null, isConfident: false },
} as const

/** The response of `GET /api/customers/:id/score`. `isStored`: the score was stored within the last hour. */
export function showScore(services: Pick<Services, "config">, scored: ScoreResult) {
  const { customerId } = scored
  if (scored.score === null && scored.because === "failed") throw new Error("a customer could not be scored")
  if (scored.score === null && scored.because === "busy") {
    throw new AppError("UNAVAILABLE", CONCURRENT_UPDATE, { reason: "customer_busy", retryAfterSeconds: 1 })
  }
  if (scored.score === null || scored.score.notScored === "no_paid_access") {
    const noModel = { source: null, model: null, modelVersion: null, coverage: null, change: null, asOf: null }
    const notScored = showNotScored("no_paid_access", null)
    return { customerId, ...NOTHING, ...noModel, status: "not_scored", notScored, isStored: false } as const
  }
  const { score, isStored } = scored
  const change = score.notScored === null && score.change !== null ? showChange(score.change) : null
  return {
    customerId,
    ...showStoredPrediction(services, score),
    change,
    asOf: score.asOf.toISOString(),
    isStored,
  } as const
}

/** A customer's score in lists; null if there is none to show. */
export function showSummary({ config }: Pick<Services, "config">, score: ScoreRow | null) {
  if (score === null || score.notScored !== null) return null
  const { probability, low, high, riskLevel, confidence, source, modelVersion, asOf } = score
  return {
    ...{ probability, interval: { low, high, level: LEVEL }, riskLevel, source, modelVersion },
    isConfident: confidence >= config.scoring.confidenceThreshold,
    asOf: asOf.toISOString(),
  }
}

/** One entry of a customer's score history. */
export function showPrediction(row: PredictionRow) {
  const { id, source, modelVersion, trigger, probability, low, high, logOdds, coverage, vectorHash, asOf, parts } = row
  const isShown = row.notScored === null
  return {
    ...{ id, source, modelVersion, trigger, coverage, vectorHash },
    ...{ notScored: row.notScored, probability: isShown ? probability : null },
    interval: isShown ? { low, high, level: LEVEL } : null,
    logOdds: isShown ? logOdds : null,
    base: (isShown && parts?.base) || null,
    reasons: isShown ? (parts?.reasons ?? []).map(showReason) : [],
    asOf: asOf.toISOString(),
  }
}
