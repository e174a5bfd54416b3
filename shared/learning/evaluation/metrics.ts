/**
 * Metrics of probabilities, with intervals. All are functions of (probability, outcome, weight) in order of the probability,
 * with equal probabilities grouped, so that no metric depends on the order of rows. A bootstrap sample is the same rows with
 * other weights, and costs one pass.
 */
import { Random } from "../random.ts"

/** Metrics of probabilities against outcomes. `auc`, `prAuc` and `lift` are null if only one outcome occurs. */
export interface Metrics {
  readonly rows: number
  readonly events: number
  readonly baseRate: number
  readonly auc: number | null
  /** Average precision: the sum of precision times the step in recall, without interpolation. */
  readonly prAuc: number | null
  readonly logLoss: number
  readonly brier: number
  /** Mean distance of predicted and observed rate over ten bins with equally many rows. */
  readonly ece: number
  /** Share of rows classified correctly at 0.5. */
  readonly accuracy: number
  /** Accuracy of always predicting the more frequent outcome. */
  readonly baseAccuracy: number
  /** Rate among the tenth with the highest probabilities, divided by the overall rate. */
  readonly lift: number | null
}

export const METRIC_NAMES = ["auc", "prAuc", "logLoss", "brier", "ece", "accuracy", "baseAccuracy", "lift"] as const
export type MetricName = (typeof METRIC_NAMES)[number]
/** A 95 % interval. */
export type Interval = readonly [low: number, high: number]

/** Lower bound of probabilities in log loss, because 0 would give infinity. */
const PROBABILITY_MIN = 1e-15
const BINS = 10
const TOP_SHARE = 0.1

/** Rows in ascending order of probability. */
interface Ranked {
  readonly probabilities: Float64Array
  readonly outcomes: Float64Array
  readonly order: Uint32Array
}

function rank(probabilities: ArrayLike<number>, outcomes: ArrayLike<number>): Ranked {
  const order = Uint32Array.from({ length: probabilities.length }, (_, row) => row)
  order.sort((a, b) => (probabilities[a] ?? 0) - (probabilities[b] ?? 0))
  return {
    order,
    probabilities: Float64Array.from(order, (row) => probabilities[row] ?? 0),
    outcomes: Float64Array.from(order, (row) => outcomes[row] ?? 0),
  }
}

/** The metrics of probabilities (0 to 1, no NaN) for outcomes (0 or 1). Throws RangeError without rows. */
export function metricsOf(probabilities: ArrayLike<number>, outcomes: ArrayLike<number>): Metrics {
  if (probabilities.length === 0) throw new RangeError("no rows to measure")
  return measure(rank(probabilities, outcomes), null)
}

/** One pass over the ranked rows; weights by rank, null for 1 each. */
function measure({ probabilities, outcomes }: Ranked, weights: Float64Array | null): Metrics {
  const length = probabilities.length
  let [total, events, logLoss, brier, right] = [0, 0, 0, 0, 0]
  for (let i = 0; i < length; i++) {
    const weight = weights === null ? 1 : (weights[i] ?? 0)
    if (weight === 0) continue
    const probability = probabilities[i] ?? 0
    const outcome = outcomes[i] ?? 0
    total += weight
    events += weight * outcome
    const given = outcome === 1 ? probability : 1 - probability
    logLoss -= weight * Math.log(Math.max(given, PROBABILITY_MIN))
    brier += weight * (probability - outcome) ** 2
    if (probability > 0.5 === (outcome === 1)) right += weight
  }
  const sums = { below: 0, pairs: 0, precision: 0, top: 0, gap: 0 }
  const bin = { weight: 0, predicted: 0, observed: 0 }
  const binSize = total / BINS
  const topFrom = total * (1 - TOP_SHARE)
  let seen = 0
  let seenEvents = 0
  for (let start = 0; start < length; ) {
    const probability = probabilities[start] ?? 0
    let [weight, hits] = [0, 0]
    let end = start
    for (; end < length && probabilities[end] === probability; end++) {
      const each = weights === null ? 1 : (weights[end] ?? 0)
      weight += each
      hits += each * (outcomes[end] ?? 0)
    }
    start = end
    if (weight === 0) continue
    const misses = weight - hits
    sums.pairs += hits * (sums.below + misses / 2)
    sums.below += misses
    const positives = events - seenEvents
    if (hits > 0) sums.precision += (hits * positives) / (total - seen)
    sums.top += hits * (Math.max(0, Math.min(weight, seen + weight - topFrom)) / weight)
    // A group with one probability is distributed evenly over the bins that it spans.
    for (let left = weight; left > 1e-9; ) {
      const part = Math.min(left, binSize - bin.weight)
      bin.weight += part
      bin.predicted += part * probability
      bin.observed += (part * hits) / weight
      left -= part
      if (bin.weight < binSize - 1e-9) continue
      sums.gap += Math.abs(bin.predicted - bin.observed)
      bin.weight = bin.predicted = bin.observed = 0
    }
    seen += weight
    seenEvents += hits
  }
  const rate = events / total
  const hasBoth = events > 0 && events < total
  return {
    rows: total,
    events,
    baseRate: rate,
    auc: hasBoth ? sums.pairs / (events * (total - events)) : null,
    prAuc: hasBoth ? sums.precision / events : null,
    logLoss: logLoss / total,
    brier: brier / total,
    ece: (sums.gap + Math.abs(bin.predicted - bin.observed)) / total,
    accuracy: right / total,
    baseAccuracy: Math.max(rate, 1 - rate),
    lift: hasBoth ? sums.top / (TOP_SHARE * total) / rate : null,
  }
}

/** Bootstrap samples: enough for the second digit of an interval, few enough for a million rows. */
const SAMPLES_MAX = 1_000
const SAMPLES_MIN = 100
const ROWS_SAMPLED_MAX = 5_000_000
const bootstrapSamplesFor = (rows: number) =>
  Math.max(SAMPLES_MIN, Math.min(SAMPLES_MAX, Math.floor(ROWS_SAMPLED_MAX / rows)))

/** Weights of bootstrap samples: groups (customers) with replacement, all rows of a group together. */
function* samples(rows: number, groups: Int32Array | null, seed: number): Generator<Float64Array> {
  const random = new Random(`bootstrap ${seed}`)
  const count = groups === null ? rows : groups.reduce((most, group) => Math.max(most, group), -1) + 1
  const sampled = new Float64Array(count)
  const weights = new Float64Array(rows)
  for (let left = bootstrapSamplesFor(rows); left > 0; left--) {
    sampled.fill(0)
    for (let i = 0; i < count; i++) {
      const place = random.int(count)
      sampled[place] = (sampled[place] ?? 0) + 1
    }
    for (let row = 0; row < rows; row++) weights[row] = sampled[groups === null ? row : (groups[row] ?? 0)] ?? 0
    yield weights
  }
}

/** Percentile bootstrap intervals of all metrics; rows of one group (0…n−1) are resampled together. */
export function intervalsOf(
  probabilities: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  options: { readonly seed: number; readonly groups?: Int32Array | null },
): Partial<Record<MetricName, Interval>> {
  const ranked = rank(probabilities, outcomes)
  const { ece } = measure(ranked, null)
  const sampled = new Map<MetricName, number[]>(METRIC_NAMES.map((name) => [name, []]))
  const ordered = new Float64Array(ranked.order.length)
  for (const weights of samples(ranked.order.length, options.groups ?? null, options.seed)) {
    for (let i = 0; i < ordered.length; i++) ordered[i] = weights[ranked.order[i] ?? 0] ?? 0
    const metrics = measure(ranked, ordered)
    for (const name of METRIC_NAMES) {
      const value = metrics[name]
      if (value !== null && Number.isFinite(value)) sampled.get(name)?.push(value)
    }
  }
  // Resampling adds noise to every bin, which biases calibration errors upwards, so the bias is subtracted.
  const eces = sampled.get("ece") ?? []
  const bias = eces.reduce((sum, value) => sum + value, 0) / Math.max(1, eces.length) - ece
  sampled.set(
    "ece",
    eces.map((value) => Math.max(0, value - bias)),
  )
  return Object.fromEntries(
    [...sampled].flatMap(([name, values]) => (values.length > 0 ? [[name, percentiles(values)]] : [])),
  )
}

function percentiles(values: readonly number[]): Interval {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0
  return [at(0.025), at(0.975)]
}

/** The difference in loss and AUC between two models on the same rows. */
export interface Comparison {
  readonly logLoss: { readonly gain: number; readonly interval: Interval }
  /** Null if only one outcome occurs. */
  readonly auc: { readonly gain: number; readonly interval: Interval } | null
}

/** Paired bootstrap of `better` over `worse`: positive gains favour `better`, an interval above 0 is significant. */
export function compareModels(
  better: ArrayLike<number>,
  worse: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  options: { readonly seed: number; readonly groups?: Int32Array | null },
): Comparison {
  const [a, b] = [rank(better, outcomes), rank(worse, outcomes)]
  const reorder = (ranked: Ranked, weights: Float64Array) => Float64Array.from(ranked.order, (row) => weights[row] ?? 0)
  const losses: number[] = []
  const aucs: number[] = []
  for (const weights of samples(outcomes.length, options.groups ?? null, options.seed)) {
    const [first, second] = [measure(a, reorder(a, weights)), measure(b, reorder(b, weights))]
    losses.push(second.logLoss - first.logLoss)
    if (first.auc !== null && second.auc !== null) aucs.push(first.auc - second.auc)
  }
  const [first, second] = [measure(a, null), measure(b, null)]
  return {
    logLoss: { gain: second.logLoss - first.logLoss, interval: percentiles(losses) },
    auc:
      first.auc === null || second.auc === null ? null : { gain: first.auc - second.auc, interval: percentiles(aucs) },
  }
}

/** Log loss of each row in nats. */
export function lossesOf(logOdds: ArrayLike<number>, outcomes: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: outcomes.length }, (_, row) => {
    const signed = outcomes[row] === 1 ? -(logOdds[row] ?? 0) : (logOdds[row] ?? 0)
    return signed > 0 ? signed + Math.log1p(Math.exp(-signed)) : Math.log1p(Math.exp(signed))
  })
}
