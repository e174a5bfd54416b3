/**
 * Why a score is what it is, and why it is no longer what it was, in parts that sum without any remainder. Floating-point
 * sums hang on their order; so every part is put on one grid of 2^-40 log-odds, on which additions of sane sizes are exact.
 * Nobody can see the difference: it is below 10^-12.
 */

/** What one feature (or `company`, `calibration`) adds to the log-odds; `value` is the feature's own. */
export interface Reason {
  readonly code: string
  readonly value: number | string | null
  readonly logOdds: number
}

/** `base` and all reasons sum to the log-odds of the score, exactly and in any order. */
export interface ScoreParts {
  readonly base: number
  readonly reasons: readonly Reason[]
}

/** How a score differs from the one before it; the reasons sum to `logOdds`, exactly and in any order. */
export interface ScoreChange {
  /** When the earlier score was made, and what it said. */
  readonly since: string
  readonly probabilityBefore: number
  readonly probability: number
  readonly logOdds: number
  /** True when another model made the earlier one: then `base` is a reason too. */
  readonly isOtherModel: boolean
  readonly reasons: readonly { readonly code: string; readonly logOdds: number }[]
}

/** One part in log-odds, as an explanation has it. */
export interface Part {
  readonly name: string
  readonly contribution: number
}

/** The code of what every customer starts from, where it differs between two scores. */
export const BASE = "base"

const GRID = 2 ** 40

const onGrid = (logOdds: number): number => Math.round(logOdds * GRID) / GRID

/**
 * The parts of a score whose log-odds are `logit`, the largest first; parts that are nothing are left out. What the rounding
 * of the others leaves goes to the base.
 */
export function exactContributions(
  logit: number,
  contributions: readonly Part[],
  inputOf: (name: string) => number | string | null,
): { readonly logOdds: number; readonly parts: ScoreParts } {
  const logOdds = onGrid(logit)
  const reasons = contributions
    .map(({ name, contribution }) => ({ code: name, value: inputOf(name), logOdds: onGrid(contribution) }))
    .filter((reason) => reason.logOdds !== 0)
    .sort(bySize)
  return { logOdds, parts: { base: reasons.reduce((rest, reason) => rest - reason.logOdds, logOdds), reasons } }
}

/** A score that a later one is compared with. */
export interface Compared {
  readonly asOf: string
  readonly model: string | null
  readonly probability: number
  readonly logOdds: number
  readonly parts: ScoreParts
}

/** What has changed between two scores of one customer, the largest difference first. */
export function scoreChange(before: Compared, after: Compared): ScoreChange {
  const byCode = new Map<string, number>([[BASE, after.parts.base - before.parts.base]])
  const add = (code: string, logOdds: number) => byCode.set(code, (byCode.get(code) ?? 0) + logOdds)
  for (const { code, logOdds } of after.parts.reasons) add(code, logOdds)
  for (const { code, logOdds } of before.parts.reasons) add(code, -logOdds)
  return {
    since: before.asOf,
    probabilityBefore: before.probability,
    probability: after.probability,
    logOdds: after.logOdds - before.logOdds,
    isOtherModel: before.model !== after.model,
    reasons: [...byCode]
      .map(([code, logOdds]) => ({ code, logOdds }))
      .filter(({ logOdds }) => logOdds !== 0)
      .sort(bySize),
  }
}

type Sized = { readonly code: string; readonly logOdds: number }

const bySize = (a: Sized, b: Sized): number =>
  Math.abs(b.logOdds) - Math.abs(a.logOdds) || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0)
