/**
 * The distribution of a model's inputs and scores over a company's customers, as counts in the bins of the artefact. Contains
 * only counts and no personal data.
 */
import type { Artefact, ModelFeature } from "../../scoring/model/artefact.ts"
import { binOf, NO_DRIFT_QUANTILE, PSI_ROWS_MIN, stability } from "./psi.ts"
import { compareRate } from "./rates.ts"

export interface Profile {
  readonly rows: number
  /** By feature name: rows in each bin; the last bin is for missing values and unknown levels. */
  readonly features: Readonly<Record<string, readonly number[]>>
  /** Rows in each bin of the score. */
  readonly score: readonly number[]
}

/** A model's inputs and its prediction. */
export interface ProfiledRow {
  readonly vector: Readonly<Record<string, unknown>>
  readonly probability: number
}

/** The profile of rows, one per customer. A feature without bins in the artefact is only known or missing. */
export function profileOf(artefact: Artefact, rows: readonly ProfiledRow[]): Profile {
  const { reference, scoreReference } = artefact.training
  const features = artefact.features.map((feature, place) => {
    const { count, place: of } = binsOf(feature, reference[place]?.cuts ?? [])
    const bins = Array.from({ length: count }, () => 0)
    for (const { vector } of rows) incrementBin(bins, of(vector[feature.name]))
    return [feature.name, bins] as const
  })
  const score = Array.from({ length: scoreReference.cuts.length + 1 }, () => 0)
  for (const { probability } of rows) incrementBin(score, binOf(scoreReference.cuts, probability))
  return { rows: rows.length, features: Object.fromEntries(features), score }
}

const incrementBin = (bins: number[], bin: number): void => {
  bins[bin] = (bins[bin] ?? 0) + 1
}

/** How many bins a feature has, and which one a value belongs to. */
function binsOf(feature: ModelFeature, cuts: readonly number[]): { count: number; place(value: unknown): number } {
  if (feature.type === "number") {
    const place = (value: unknown) =>
      binOf(cuts, typeof value === "number" && Number.isFinite(value) ? value : Number.NaN)
    return { count: cuts.length + 2, place }
  }
  const places = new Map(feature.levels.map((level, at) => [level, at]))
  const missing = feature.levels.length
  return {
    count: missing + 1,
    place: (value) => (typeof value === "string" ? (places.get(value) ?? missing) : missing),
  }
}

/** A feature's drift since the reference; null for what cannot be measured yet. */
export interface FeatureDrift {
  readonly name: string
  readonly psi: number | null
  readonly psiLimit: number | null
  readonly missing: number
  readonly missingReference: number
  readonly missingLimit: number | null
  /** Whether each value is above its limit. */
  readonly isSpreadAbove: boolean
  readonly isMissingAbove: boolean
  /** Whether each value is above a limit that any of all features exceeds by chance only once in a hundred. */
  readonly isFar: { readonly spread: boolean; readonly missing: boolean }
}

/** Each feature now compared with the reference. Features that are not in the reference are skipped. */
export function driftOf(reference: Profile, now: Profile): FeatureDrift[] {
  const features = Object.entries(now.features)
  // Bonferroni correction: the probability of a false alarm over all features stays 1 %.
  const each = (1 - NO_DRIFT_QUANTILE) / Math.max(1, features.length)
  const isEnough = Math.min(now.rows, reference.rows) >= PSI_ROWS_MIN
  return features.flatMap(([name, bins]) => {
    const was = reference.features[name]
    if (was === undefined || was.length !== bins.length) return []
    const spread = stability(was, bins)
    const [missing, missingReference] = [bins.at(-1) ?? 0, was.at(-1) ?? 0]
    const counts = [
      { count: missing, rows: now.rows },
      { count: missingReference, rows: reference.rows },
    ] as const
    const rate = isEnough ? compareRate(...counts) : null
    return [
      {
        name,
        psi: spread?.psi ?? null,
        psiLimit: spread?.limit ?? null,
        missing: shareOf(missing, now.rows),
        missingReference: shareOf(missingReference, reference.rows),
        missingLimit: rate?.limit ?? null,
        isSpreadAbove: spread?.isAbove === true,
        isMissingAbove: rate?.isAbove === true,
        isFar: {
          spread: spread?.isAbove === true && stability(was, bins, 1 - each)?.isAbove === true,
          missing: rate?.isAbove === true && compareRate(...counts, each)?.isAbove === true,
        },
      },
    ]
  })
}

const shareOf = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
