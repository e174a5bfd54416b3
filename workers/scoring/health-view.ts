/** The health of a customer in API responses, from the latest score and the company's weights and risk levels. */
import type { ScoreRow } from "../../db/queries/scoring/scores.ts"
import { featureSchema } from "../../shared/domain/scoring/features.ts"
import { type Component, type Health, healthOf } from "../../shared/domain/scoring/health.ts"
import type { CompanySettings } from "../../shared/domain/settings.ts"

/** The component of each feature. Codes that are not features belong to no component. */
export const COMPONENT_BY_FEATURE: Readonly<Record<string, Component>> = Object.fromEntries(
  featureSchema.map(({ name, group }) => [name, group]),
)

const componentOf = (code: string): Component | null =>
  Object.hasOwn(COMPONENT_BY_FEATURE, code) ? (COMPONENT_BY_FEATURE[code] ?? null) : null

type HealthSettings = Pick<CompanySettings, "healthWeights" | "riskThresholds">

/** The health for a score; null without a score or without paid access. */
export function healthFrom(score: ScoreRow | null, settings: HealthSettings): Health | null {
  if (score === null || score.notScored === "no_paid_access") return null
  const { probability, logOdds, coverage, baseRate, parts } = score
  return healthOf(
    { probability, logOdds, coverage, base: parts.base, reasons: parts.reasons },
    { baseRate, componentOf, weights: settings.healthWeights, thresholds: settings.riskThresholds },
  )
}

/** `health` of a customer: 0 to 100 with components that sum to it, or the reason why there is none. */
export function showHealth(score: ScoreRow | null, health: Health | null) {
  if (score === null || health === null) return null
  const about = { source: score.source, modelVersion: score.modelVersion, asOf: score.asOf.toISOString() }
  if (health.status === "not_scored") {
    return { status: health.status, because: health.because, score: null, components: [], ...about }
  }
  const { score: points, components, isReweighted } = health
  return { status: health.status, because: null, score: points, components, isReweighted, ...about }
}

/** `atRisk` of a customer: the inverse of the health, by the model's own weights; null without a score. */
export const showAtRisk = (health: Health | null) =>
  health?.status === "scored" ? { score: health.atRiskScore, level: health.riskLevel } : null
