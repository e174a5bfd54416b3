/**
 * The reasons of a score and of its change, in parts that sum exactly. Floating-point sums depend on their order, so every
 * part is rounded to a grid of 2^-40 log-odds, on which additions of realistic sizes are exact. The rounding is below 10^-12.
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
  /** The time of the earlier score, and its probability. */
  readonly since: string
  readonly probabilityBefore: number
  readonly probability: number
  readonly logOdds: number
  /** True if another model made the earlier score; then `base` is a reason too. */
  readonly isOtherModel: boolean
  readonly reasons: readonly { readonly code: string; readonly logOdds: number }[]
}

/** One part of an explanation, in log-odds. */
export interface Part {
  readonly name: string
  readonly contribution: number
}

/** The code of the base as a reason, if it differs between two scores. */
export const BASE = "base"

const GRID = 2 ** 40

const onGrid = (logOdds: number): number => Math.round(logOdds * GRID) / GRID

/**
 * The parts of a score with the log-odds `logit`, largest first, without zeros. The rounding error of the reasons goes to the
 * base.
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

/** A score to compare. */
export interface Compared {
  readonly asOf: string
  readonly model: string | null
  readonly probability: number
  readonly logOdds: number
  readonly parts: ScoreParts
}

/** The change between two scores of one customer, largest difference first. */
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
