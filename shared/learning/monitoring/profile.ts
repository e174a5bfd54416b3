/**
 * How the inputs of a model and its scores are spread over a company's customers, as counts in the bins that the model's
 * artefact brings. Counts only: a profile names nobody.
 */
import type { Artefact, ModelFeature } from "../../scoring/artefact.ts"
import { binOf, NO_DRIFT_QUANTILE, PSI_ROWS_MIN, stability } from "./psi.ts"
import { compareRate } from "./rates.ts"

export interface Profile {
  readonly rows: number
  /** By feature name: rows in each bin, the last of them what is missing (or no level that the model knows). */
  readonly features: Readonly<Record<string, readonly number[]>>
  /** Rows in each bin of the score. */
  readonly score: readonly number[]
}

/** What a model was given and what it said. */
export interface ProfiledRow {
  readonly vector: Readonly<Record<string, unknown>>
  readonly probability: number
}

/** The profile of rows, one for each customer. A feature without bins in the artefact is only known or missing. */
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

/** A feature's drift since the reference; what cannot be judged yet is null. */
export interface FeatureDrift {
  readonly name: string
  readonly psi: number | null
  readonly psiLimit: number | null
  readonly missing: number
  readonly missingReference: number
  readonly missingLimit: number | null
  /** Whether it is above the one limit or the other. */
  readonly isSpreadAbove: boolean
  readonly isMissingAbove: boolean
  /** Whether it is so far above that chance would put any one of all features there once in a hundred. */
  readonly isFar: { readonly spread: boolean; readonly missing: boolean }
}

/** Each feature now against the reference. Features that the reference does not know are passed over. */
export function driftOf(reference: Profile, now: Profile): FeatureDrift[] {
  const features = Object.entries(now.features)
  // Bonferroni: shared among so many, the chance of one false alarm stays one in a hundred.
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
