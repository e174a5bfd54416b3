/** One day's check of a model in one company: every measure with its value and limit, and the overall status. */
import { CALIBRATION_EVENTS_MIN, calibrationDrift } from "./calibration-drift.ts"
import { type Batch, cusum, type MaturedPrediction } from "./cusum.ts"
import { binomialProbabilities } from "./distributions.ts"
import { driftOf, type FeatureDrift, type Profile } from "./profile.ts"
import { stability } from "./psi.ts"
import { completenessOf, dataQuality, QUALITY_MIN } from "./quality.ts"

/** The input for checking a company's champion. */
export interface Evidence {
  /** Matured labels by week of the prediction, oldest first; only complete weeks. */
  readonly weeks: readonly Batch[]
  /** The latest matured labels, for calibration. */
  readonly recent: readonly MaturedPrediction[]
  readonly reference: Profile | null
  readonly now: Profile
  /** Customers to score, and those whose score is missing or stale. */
  readonly scores: { readonly customers: number; readonly stale: number }
  /** Recently received facts, and those received more than a day after they occurred. */
  readonly facts: { readonly received: number; readonly late: number }
  /** Matured predictions, and those without a label. */
  readonly labels: { readonly due: number; readonly late: number }
}

export const MEASURES = [
  "churn_above",
  "churn_below",
  "calibration",
  "score_psi",
  "features_psi",
  "missing_features",
  "staleness",
  "label_delay",
  "data_quality",
] as const
export type MeasureName = (typeof MEASURES)[number]

/** `too_few`: not enough data. `warn` notifies people; `alarm` also needs an action. */
export type MeasureStatus = "pass" | "warn" | "alarm" | "too_few"

export interface Measure {
  readonly name: MeasureName
  readonly status: MeasureStatus
  readonly value: number | null
  readonly limit: number | null
  /** Further values. */
  readonly details: Readonly<Record<string, number | string | null>>
}

export interface Report {
  readonly status: "pass" | "warn" | "alarm"
  readonly measures: readonly Measure[]
  readonly features: readonly FeatureDrift[]
  /** 0 to 1; null while no customer is scored. */
  readonly dataQuality: number | null
}

/** A few scores and labels may be late; a higher share means a defect. */
const LATE_SHARE_MAX = 0.05

/** The report. Pure: the same evidence gives the same report. */
export function reportOf(evidence: Evidence): Report {
  const features = evidence.reference === null ? [] : driftOf(evidence.reference, evidence.now)
  const quality = qualityOf(evidence, features)
  const measures = [
    ...churn(evidence.weeks),
    calibration(evidence.recent),
    scoreSpread(evidence),
    manyAbove("features_psi", features, evidence),
    manyAbove("missing_features", features, evidence),
    lateShare("staleness", evidence.scores.stale, evidence.scores.customers),
    lateShare("label_delay", evidence.labels.late, evidence.labels.due),
    qualityMeasure(quality),
  ]
  const has = (status: MeasureStatus): boolean => measures.some((measure) => measure.status === status)
  return {
    status: has("alarm") ? "alarm" : has("warn") ? "warn" : "pass",
    measures,
    features,
    dataQuality: quality?.score ?? null,
  }
}

/** The chart restarts after an alarm; the alarm stays active for this many weeks of labels. */
const ALARM_WEEKS = 4

/** The primary alarms: more or fewer churns than predicted. */
function churn(weeks: readonly Batch[]): Measure[] {
  const points = cusum(weeks.filter(({ rows }) => rows > 0))
  const last = points.at(-1)
  const lately = points.slice(-ALARM_WEEKS)
  const sum = (name: "rows" | "events" | "expected") => weeks.reduce((total, week) => total + week[name], 0)
  const details = { weeks: weeks.length, rows: sum("rows"), observed: sum("events"), expected: sum("expected") }
  return (["up", "down"] as const).map((name) => {
    const side = last?.[name]
    return {
      name: name === "up" ? "churn_above" : "churn_below",
      status: side === undefined ? "too_few" : lately.some((point) => point[name].isAbove) ? "alarm" : "pass",
      value: side?.statistic ?? null,
      limit: side?.limit ?? null,
      details,
    }
  })
}

function calibration(recent: readonly MaturedPrediction[]): Measure {
  const found = calibrationDrift(recent)
  const name = "calibration"
  if (found === null) {
    const details = { rows: recent.length, eventsMin: CALIBRATION_EVENTS_MIN }
    return { name, status: "too_few", value: null, limit: null, details }
  }
  const { statistic, limit, isAbove, ...details } = found
  return { name, status: isAbove ? "warn" : "pass", value: statistic, limit, details }
}

function scoreSpread({ reference, now }: Evidence): Measure {
  const spread =
    reference === null || reference.score.length !== now.score.length ? null : stability(reference.score, now.score)
  const status = spread === null ? "too_few" : spread.isAbove ? "warn" : "pass"
  const details = { rows: now.rows, referenceRows: reference?.rows ?? 0 }
  return { name: "score_psi", status, value: spread?.psi ?? null, limit: spread?.limit ?? null, details }
}

/**
 * By chance each feature exceeds its limit once in a hundred. Drift is a number of features above their limits that is
 * reached by chance only once in a hundred, or one feature far above.
 */
function manyAbove(
  name: "features_psi" | "missing_features",
  features: readonly FeatureDrift[],
  evidence: Evidence,
): Measure {
  const isSpread = name === "features_psi"
  const count = features.filter(({ isSpreadAbove, isMissingAbove }) =>
    isSpread ? isSpreadAbove : isMissingAbove,
  ).length
  const far = features.filter(({ isFar }) => (isSpread ? isFar.spread : isFar.missing)).length
  const details = {
    features: features.length,
    far,
    rows: evidence.now.rows,
    referenceRows: evidence.reference?.rows ?? 0,
  }
  const isKnown = features.some(({ psi, missingLimit }) => (isSpread ? psi : missingLimit) !== null)
  if (!isKnown) return { name, status: "too_few", value: null, limit: null, details }
  const { chances } = binomialProbabilities(features.length, 0.01)
  let [limit, reached] = [0, chances[0] ?? 1]
  while (reached < 0.99) {
    limit += 1
    reached += chances[limit] ?? 1
  }
  return { name, status: count > limit || far > 0 ? "warn" : "pass", value: count, limit, details }
}

function lateShare(name: "staleness" | "label_delay", late: number, all: number): Measure {
  const value = all === 0 ? null : late / all
  const status = value === null ? "too_few" : value > LATE_SHARE_MAX ? "warn" : "pass"
  return { name, status, value, limit: LATE_SHARE_MAX, details: { late, all } }
}

interface Quality {
  readonly score: number
  readonly parts: Parameters<typeof dataQuality>[0]
}

function qualityOf({ scores, facts, labels, now }: Evidence, features: readonly FeatureDrift[]): Quality | null {
  if (now.rows === 0 || scores.customers === 0) return null
  const without = (part: number, whole: number): number => (whole === 0 ? 1 : 1 - part / whole)
  const parts = {
    completeness: completenessOf(features.map(({ missing, missingReference }) => [missing, missingReference])),
    freshness: without(scores.stale, scores.customers),
    timeliness: without(facts.late, facts.received),
    labels: without(labels.late, labels.due),
  }
  return { score: dataQuality(parts), parts }
}

function qualityMeasure(quality: Quality | null): Measure {
  const status = quality === null ? "too_few" : quality.score < QUALITY_MIN ? "warn" : "pass"
  return {
    name: "data_quality",
    status,
    value: quality?.score ?? null,
    limit: QUALITY_MIN,
    details: { ...quality?.parts },
  }
}
