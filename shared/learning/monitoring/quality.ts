/** The quality of the data behind scores, from 0 to 1. */

/** The parts of the data-quality score; each a share from 0 to 1. */
export interface QualityParts {
  /** One minus the mean over features of the increase in missing values since the reference. */
  readonly completeness: number
  /** Share of customers with a recent score. */
  readonly freshness: number
  /** Share of facts in the window that were received within a day of occurring. */
  readonly timeliness: number
  /** Share of matured predictions whose label is known. */
  readonly labels: number
}

/** No model is promoted below this. */
export const QUALITY_MIN = 0.9

/**
 * The product of the parts, so that a good part cannot hide a bad one: 0.9 allows one part to lose 10 %, or two to lose 5 %
 * each. NaN counts as 0.
 */
export const dataQuality = ({ completeness, freshness, timeliness, labels }: QualityParts): number =>
  [completeness, freshness, timeliness, labels].reduce((product, part) => product * shareOf(part), 1)

const shareOf = (part: number): number => (part > 0 ? Math.min(1, part) : 0)

/** Completeness of features: `[rate now, rate of the reference]` each; 1 without features. */
export function completenessOf(rates: readonly (readonly [now: number, reference: number])[]): number {
  if (rates.length === 0) return 1
  return 1 - rates.reduce((sum, [now, reference]) => sum + Math.max(0, now - reference), 0) / rates.length
}
