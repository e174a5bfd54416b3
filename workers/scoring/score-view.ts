/** Scores as clients of the API see them. */
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

/** What is said when facts of a customer kept coming while a score was made. */
export const CONCURRENT_UPDATE =
  "So much is being told of the customer that a score would be old at once. Please try again."

/** What is no feature's own word. */
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

/** Why there is no score, for people; `needed` is what coverage must be. */
function showNotScored(reason: NotScored, coverage: number | null) {
  const detail =
    reason === "no_paid_access"
      ? "The customer has no paid access that could end."
      : "Too little of what the model asks for is known of the customer."
  return { reason, detail, coverage, needed: reason === "coverage_too_low" ? COVERAGE_MIN : null }
}

/** What was said, with all of its reasons, or that it is not to be shown. */
export function showStoredPrediction({ config }: Pick<Services, "config">, said: PredictionWithReasons) {
  const { confidenceThreshold } = config.scoring
  const about = {
    source: said.source,
    model: said.modelSha256 === null ? null : { id: said.modelSha256, version: said.modelVersion },
    modelVersion: said.modelVersion,
    coverage: said.coverage,
  }
  if (said.notScored !== null) {
    return {
      ...NOTHING,
      ...about,
      status: "not_scored",
      notScored: showNotScored(said.notScored, said.coverage),
    } as const
  }
  return {
    status: "scored",
    notScored: null,
    probability: said.probability,
    interval: { low: said.low, high: said.high, level: LEVEL },
    riskLevel: said.riskLevel,
    baseRate: said.baseRate,
    logOdds: said.logOdds,
    base: said.parts.base,
    reasons: said.parts.reasons.map(showReason),
    confidence: said.confidence,
    confidenceThreshold,
    isConfident: said.confidence >= confidenceThreshold,
    ...about,
  } as const
}

const NOTHING = {
  ...{ probability: null, interval: null, riskLevel: null, baseRate: null, logOdds: null, base: null, reasons: [] },
  ...{ confidence: null, confidenceThreshold: null, isConfident: false },
} as const

/** The score of a customer as `GET /api/customers/:id/score` answers it. `isStored`: it was made within the last hour. */
export function showScore(services: Pick<Services, "config">, scored: ScoreResult) {
  const { customerId } = scored
  if (scored.score === null && scored.because === "failed") throw new Error("a customer could not be scored")
  if (scored.score === null && scored.because === "busy") {
    throw new AppError("UNAVAILABLE", CONCURRENT_UPDATE, { reason: "customer_busy", retryAfterSeconds: 1 })
  }
  if (scored.score === null || scored.score.notScored === "no_paid_access") {
    const nobody = { source: null, model: null, modelVersion: null, coverage: null, change: null, asOf: null }
    const notScored = showNotScored("no_paid_access", null)
    return { customerId, ...NOTHING, ...nobody, status: "not_scored", notScored, isStored: false } as const
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

/** A score beside its customer in lists; null when there is none to show. */
export function showSummary({ config }: Pick<Services, "config">, score: ScoreRow | null) {
  if (score === null || score.notScored !== null) return null
  const { probability, low, high, riskLevel, confidence, source, modelVersion, asOf } = score
  return {
    ...{ probability, interval: { low, high, level: LEVEL }, riskLevel, source, modelVersion },
    isConfident: confidence >= config.scoring.confidenceThreshold,
    asOf: asOf.toISOString(),
  }
}

/** One entry of a customer's history of scores. */
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
