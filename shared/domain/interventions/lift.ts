/**
 * The effect of nudges, compared with held-out cases. Every case counts in the arm it was assigned to, whatever was sent
 * (intention to treat), and only after it has matured. Different hold-out percentages (10, later 20 percent) are separate
 * strata: arms are compared within each stratum and then combined, because other conditions change between the periods too.
 */

/** The 97.5th percentile of the normal distribution, for 95 % intervals. */
const Z = 1.959963984540054

/** With fewer cases in either arm, the interval is too wide to be useful and chance looks like success. */
const ARM_CASES_MIN = 30

export interface Interval {
  readonly low: number
  readonly high: number
}

/** Successes among trials. */
export interface Share {
  readonly successes: number
  readonly cases: number
}

/** The share with Wilson's score interval (1927); without cases, no share and an interval of 0 to 1. */
export const shareOf = (share: Share): { readonly rate: number | null } & Interval =>
  share.cases === 0 ? { rate: null, low: 0, high: 1 } : wilson(share)

function wilson({ successes, cases }: Share): { readonly rate: number } & Interval {
  const rate = successes / cases
  const [square, denominator] = [Z * Z, 1 + (Z * Z) / cases]
  const centre = (rate + square / (2 * cases)) / denominator
  const half = (Z / denominator) * Math.sqrt((rate * (1 - rate)) / cases + square / (4 * cases * cases))
  return { rate, low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}

/** Both arms of the cases assigned at one hold-out percentage. */
export interface Stratum {
  readonly treated: Share
  readonly heldOut: Share
}

/**
 * The success rate of the treated arm minus that of the held-out arm, with an interval: Newcombe's hybrid score interval
 * (1998, method 10) within each stratum, combined with Mantel-Haenszel weights by the method of variance estimates recovery
 * (Zou and Donner, 2008). Null if no stratum has cases in both arms.
 */
export function liftOf(strata: readonly Stratum[]): ({ readonly difference: number } & Interval) | null {
  const both = strata.filter(({ treated, heldOut }) => treated.cases > 0 && heldOut.cases > 0)
  if (both.length === 0) return null
  const total = both.reduce((sum, stratum) => sum + weightOf(stratum), 0)
  let [difference, below, above] = [0, 0, 0]
  for (const stratum of both) {
    const weight = weightOf(stratum) / total
    const [t, h] = [wilson(stratum.treated), wilson(stratum.heldOut)]
    difference += weight * (t.rate - h.rate)
    below += weight * weight * ((t.rate - t.low) ** 2 + (h.high - h.rate) ** 2)
    above += weight * weight * ((t.high - t.rate) ** 2 + (h.rate - h.low) ** 2)
  }
  return { difference, low: difference - Math.sqrt(below), high: difference + Math.sqrt(above) }
}

/** The weight of Mantel and Haenszel (1959): the smaller arm counts most. */
const weightOf = ({ treated: { cases: n }, heldOut: { cases: m } }: Stratum): number => (n * m) / (n + m)

export type Verdict = "too_few_to_tell" | "no_difference_shown" | "more" | "less"

/** The conclusion from a lift. */
export function verdictOf(strata: readonly Stratum[]): Verdict {
  const count = (arm: keyof Stratum): number => strata.reduce((sum, stratum) => sum + stratum[arm].cases, 0)
  const lift = liftOf(strata)
  if (lift === null || Math.min(count("treated"), count("heldOut")) < ARM_CASES_MIN) return "too_few_to_tell"
  if (lift.low > 0) return "more"
  return lift.high < 0 ? "less" : "no_difference_shown"
}

/** Sums over one arm in one currency, in minor units: the amount at stake, the amount kept, their squares and product. */
export interface Amounts {
  readonly cases: number
  readonly atStake: number
  readonly kept: number
  readonly atStakeSquared: number
  readonly keptSquared: number
  readonly product: number
}

/**
 * The amount that would not have been kept without nudges, in minor units: the amount at stake in the treated arm times the
 * difference of the kept shares. The interval is that of two ratio estimates (Cochran, Sampling Techniques, 1977, 6.3).
 * Null if no stratum has amounts in both arms.
 */
export function incrementalOf(
  strata: readonly { readonly treated: Amounts; readonly heldOut: Amounts }[],
): ({ readonly amountMinor: number } & Interval) | null {
  const both = strata.filter(({ treated, heldOut }) => treated.atStake > 0 && heldOut.atStake > 0)
  if (both.length === 0) return null
  let [amount, variance] = [0, 0]
  for (const { treated, heldOut } of both) {
    amount += treated.kept - (treated.atStake * heldOut.kept) / heldOut.atStake
    variance += treated.atStake ** 2 * (ratioVariance(treated) + ratioVariance(heldOut))
  }
  const half = Z * Math.sqrt(variance)
  return { amountMinor: Math.round(amount), low: Math.floor(amount - half), high: Math.ceil(amount + half) }
}

/** Variance of kept over at stake; 1 for a single case, whose share may be anything from 0 to 1. */
function ratioVariance({ cases, atStake, kept, atStakeSquared, keptSquared, product }: Amounts): number {
  if (cases < 2) return 1
  const ratio = kept / atStake
  const residual = Math.max(0, keptSquared - 2 * ratio * product + ratio * ratio * atStakeSquared)
  return ((cases / (cases - 1)) * residual) / (atStake * atStake)
}
