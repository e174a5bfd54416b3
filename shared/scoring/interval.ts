import { logitOf, probabilityOf } from "./model/calibrate.ts"
import type { Model } from "./model/model.ts"

export type Interval = {
  readonly low: number
  readonly high: number
  readonly confidence: "low" | "medium" | "high"
  /** Churned rows in the score's bin. */
  readonly events: number
}

/** The relative error of a rate is about 1/√events: confidence is low above about a third, high below about a seventh. */
const EVENTS_MEDIUM = 10
const EVENTS_HIGH = 50

/**
 * The interval of a probability, from the outcomes of out-of-fold rows with similar scores: the Jeffreys interval of their
 * rate (Beta(events + ½, others + ½), equal tails), shifted in log-odds to the score, which it always contains. A model
 * without such rows gives (0, 1) at low confidence.
 */
export function interval(model: Model, probability: number, level = 0.9): Interval {
  const bins = model.artefact.confidence
  const bin = bins.find(({ upTo }) => probability <= upTo) ?? bins.at(-1)
  if (bin === undefined) return { low: 0, high: 1, confidence: "low", events: 0 }
  const events = Math.min(bin.events, bin.rows)
  const [alpha, beta] = [events + 0.5, bin.rows - events + 0.5]
  const shift = logitOf(probability) - logitOf(alpha / (alpha + beta))
  const tail = (1 - level) / 2
  return {
    low: Math.min(probability, probabilityOf(logitOf(betaQuantile(tail, alpha, beta)) + shift)),
    high: Math.max(probability, probabilityOf(logitOf(betaQuantile(1 - tail, alpha, beta)) + shift)),
    confidence: events < EVENTS_MEDIUM ? "low" : events < EVENTS_HIGH ? "medium" : "high",
    events,
  }
}

/** Bisecting a unit interval 60 times reaches the precision of doubles. */
const STEPS_MAX = 60
const MIN_PRECISION = 1e-12

/** The x with I_x(alpha, beta) = share, by Newton's method within a shrinking bracket. */
export function betaQuantile(share: number, alpha: number, beta: number): number {
  const logNorm = logGamma(alpha + beta) - logGamma(alpha) - logGamma(beta)
  let [low, high, x] = [0, 1, alpha / (alpha + beta)]
  for (let step = 0; step < STEPS_MAX; step++) {
    const excess = betaShare(x, alpha, beta) - share
    if (excess > 0) high = x
    else low = x
    const density = Math.exp(logNorm + (alpha - 1) * Math.log(x) + (beta - 1) * Math.log1p(-x))
    const next = x - excess / density
    const to = next > low && next < high ? next : (low + high) / 2
    if (Math.abs(to - x) <= MIN_PRECISION * x) return to
    x = to
  }
  return x
}

/** The regularized incomplete beta function I_x(alpha, beta), for x strictly between 0 and 1. */
export function betaShare(x: number, alpha: number, beta: number): number {
  const front = Math.exp(
    logGamma(alpha + beta) - logGamma(alpha) - logGamma(beta) + alpha * Math.log(x) + beta * Math.log1p(-x),
  )
  // The fraction converges fast below the mean; above it, the symmetry of the function is used.
  return x < (alpha + 1) / (alpha + beta + 2)
    ? (front * betaFraction(x, alpha, beta)) / alpha
    : 1 - (front * betaFraction(1 - x, beta, alpha)) / beta
}

/** It takes about √(alpha + beta) terms; this is enough for a hundred million rows. */
const TERMS_MAX = 10_000
const TINY = 1e-300

/** The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method. */
function betaFraction(x: number, alpha: number, beta: number): number {
  const bounded = (value: number): number => (Math.abs(value) < TINY ? TINY : value)
  let c = 1
  let d = 1 / bounded(1 - ((alpha + beta) * x) / (alpha + 1))
  let fraction = d
  for (let m = 1; m <= TERMS_MAX; m++) {
    const even = (m * (beta - m) * x) / ((alpha + 2 * m - 1) * (alpha + 2 * m))
    d = 1 / bounded(1 + even * d)
    c = bounded(1 + even / c)
    fraction *= d * c
    const odd = (-(alpha + m) * (alpha + beta + m) * x) / ((alpha + 2 * m) * (alpha + 2 * m + 1))
    d = 1 / bounded(1 + odd * d)
    c = bounded(1 + odd / c)
    fraction *= d * c
    if (Math.abs(d * c - 1) < 1e-15) break
  }
  return fraction
}

/** ln Γ(x) for x > 0, by Stirling's series after a shift to x ≥ 10, where its error is below 1e-15 (DLMF 5.11.1). */
function logGamma(x: number): number {
  let shift = 0
  let y = x
  for (; y < 10; y++) shift += Math.log(y)
  const square = 1 / (y * y)
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188)))) / y
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - shift
}
