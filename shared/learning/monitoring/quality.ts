/** How far the data behind scores can be relied on, from 0 to 1. */

/** What the data-quality score is made of; each a share from 0 to 1. */
export interface QualityParts {
  /** One less the mean over features of how far the share of missing values lies above that of the reference. */
  readonly completeness: number
  /** Share of the customers to be scored whose score is not too old. */
  readonly freshness: number
  /** Share of facts of the window that were received within a day of happening. */
  readonly timeliness: number
  /** Share of predictions past horizon and grace whose label is known. */
  readonly labels: number
}

/** Below this no model is promoted. */
export const QUALITY_MIN = 0.9

/**
 * The product of its parts, so that no good part hides a bad one: 0.9 allows one part to lose a tenth, or two to lose a
 * twentieth each. A part that is no number counts as 0.
 */
export const dataQuality = ({ completeness, freshness, timeliness, labels }: QualityParts): number =>
  [completeness, freshness, timeliness, labels].reduce((product, part) => product * shareOf(part), 1)

const shareOf = (part: number): number => (part > 0 ? Math.min(1, part) : 0)

/** Completeness of features: `[rate now, rate of the reference]` each; 1 without features. */
export function completenessOf(rates: readonly (readonly [now: number, reference: number])[]): number {
  if (rates.length === 0) return 1
  return 1 - rates.reduce((sum, [now, reference]) => sum + Math.max(0, now - reference), 0) / rates.length
}
