/** Distributions for limits, in closed form or by short sums, so that limits are equal on every machine. */

/** Quantile of the standard normal for a probability in (0, 1); error below 5e-4 (Abramowitz and Stegun 26.2.23). */
export function normalQuantile(probability: number): number {
  if (!(probability > 0 && probability < 1)) throw new RangeError("expected a probability between 0 and 1")
  if (probability < 0.5) return -normalQuantile(1 - probability)
  const t = Math.sqrt(-2 * Math.log(1 - probability))
  const above = 2.515517 + t * (0.802853 + t * 0.010328)
  const below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
  return t - above / below
}

/** Two-sided probability of a standard normal as far from zero as `z` (Abramowitz and Stegun 7.1.26, error below 2e-7). */
export function normalTails(z: number): number {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * x)
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  return series * Math.exp(-x * x)
}

/** Quantile of chi-square (Wilson and Hilferty; one and two degrees are exact). */
export function chiSquareQuantile(probability: number, degrees: number): number {
  if (degrees < 1) return 0
  if (degrees === 1) return normalQuantile((1 + probability) / 2) ** 2
  if (degrees === 2) return -2 * Math.log(1 - probability)
  const ninth = 2 / (9 * degrees)
  return degrees * (1 - ninth + normalQuantile(probability) * Math.sqrt(ninth)) ** 3
}

/**
 * Probabilities of `first`, `first` + 1, … successes of a binomial, cut where the rest is below 1e-15. `trials` is a whole
 * number, `chance` from 0 to 1.
 */
export function binomialProbabilities(
  trials: number,
  chance: number,
): { readonly first: number; readonly chances: Float64Array } {
  if (trials === 0 || chance <= 0) return { first: 0, chances: Float64Array.of(1) }
  if (chance >= 1) return { first: trials, chances: Float64Array.of(1) }
  const mean = trials * chance
  // A Poisson's upper tail is longer than a normal's: beyond eight standard deviations plus 16, less than 1e-15 is left.
  const reach = Math.ceil(8 * Math.sqrt(mean * (1 - chance)) + 16)
  const first = Math.max(0, Math.floor(mean) - reach)
  const last = Math.min(trials, Math.ceil(mean) + reach)
  const mode = Math.min(last, Math.floor((trials + 1) * chance))
  const chances = new Float64Array(last - first + 1)
  const odds = chance / (1 - chance)
  // Computed from the mode outwards, which cannot overflow, and then normalised.
  chances[mode - first] = 1
  let sum = 1
  for (let count = mode, value = 1; count < last; count++) {
    value *= ((trials - count) / (count + 1)) * odds
    chances[count + 1 - first] = value
    sum += value
  }
  for (let count = mode, value = 1; count > first; count--) {
    value *= count / (trials - count + 1) / odds
    chances[count - 1 - first] = value
    sum += value
  }
  for (let at = 0; at < chances.length; at++) chances[at] = (chances[at] ?? 0) / sum
  return { first, chances }
}
