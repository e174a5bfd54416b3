/**
 * Chooses the model: the scorecard, unless boosted trees or a blend are better by more than one standard error of the paired
 * difference. Simple, exactly additive reasons are worth more than a gain that may be chance.
 */

import { probabilityOf } from "../scoring/model/calibrate.ts"
import { average, type Candidate, meanLoss, NODES_MAX } from "./candidates.ts"
import type { CanonicalData } from "./data/labelled-rows.ts"
import { lossesOf, metricsOf } from "./evaluation/metrics.ts"

/** Parts with their weights, and their combined out-of-fold log-odds. */
export interface Choice {
  readonly parts: readonly { readonly candidate: Candidate; readonly weight: number }[]
  readonly outOfFold: Float64Array
  readonly logLoss: number
  /** The reason in one sentence with the numbers. */
  readonly because: string
}

/** Shares of the trees in a blend. Finer steps would only fit the folds. */
const SHARES = [0.25, 0.5, 0.75]

/** Chooses among candidates that were evaluated on the same folds. Needs at least one. */
export function choose(candidates: readonly Candidate[], data: CanonicalData): Choice {
  const gam = candidates.find(({ kind }) => kind === "gam")
  const gbdt = bestTrees(
    candidates.filter(({ kind }) => kind === "gbdt"),
    data,
  )
  const single = gam ?? gbdt
  if (single === undefined) throw new RangeError("no candidates to choose from")
  if (gam === undefined || gbdt === undefined) return singleChoice(single, `${single.name} was asked for`)
  const blends = SHARES.map((share) => blend(gam, gbdt, share, data.outcomes))
  const blended = blends.reduce((a, b) => (b.logLoss < a.logLoss ? b : a))
  // At equal loss a blend is preferred, because the errors of its parts differ and it is more stable.
  const other = blended.logLoss <= gbdt.logLoss ? blended : singleChoice(gbdt, "")
  const { gain, error } = gainOf(other.outOfFold, gam.outOfFold, data)
  const summary = `lowers log loss by ${gain.toFixed(4)} ± ${error.toFixed(4)} against gam`
  if (gain > error) return { ...other, because: `${nameOf(other)} ${summary}` }
  return singleChoice(gam, gain > 0 ? `${nameOf(other)} only ${summary}` : `${nameOf(other)} is no better than gam`)
}

/**
 * The trees with the lowest loss; or the mean of all, if it ranks better and its loss is within one standard error: the errors
 * of shallow and deep trees differ, and an average is more stable than a choice.
 */
function bestTrees(candidates: readonly Candidate[], data: CanonicalData): Candidate | undefined {
  const [best, ...others] = [...candidates].sort((a, b) => a.logLoss - b.logLoss)
  if (best === undefined || others.length === 0) return best
  const mean = average(candidates, data.outcomes)
  const { gain, error } = gainOf(mean.outOfFold, best.outOfFold, data)
  const isMeanBetter = gain >= -error && aucOf(mean, data) > aucOf(best, data)
  return isMeanBetter && mean.nodes <= NODES_MAX ? mean : best
}

function aucOf({ outOfFold }: Candidate, { outcomes }: CanonicalData): number {
  const rows = Uint32Array.from(outOfFold.keys()).filter((row) => !Number.isNaN(outOfFold[row]))
  const { auc } = metricsOf(
    Float64Array.from(rows, (row) => probabilityOf(outOfFold[row] ?? 0)),
    Uint8Array.from(rows, (row) => outcomes[row] ?? 0),
  )
  return auc ?? 0.5
}

const singleChoice = (candidate: Candidate, because: string): Choice => ({
  parts: [{ candidate, weight: 1 }],
  outOfFold: candidate.outOfFold,
  logLoss: candidate.logLoss,
  because,
})

const nameOf = ({ parts }: Choice): string =>
  parts.length > 1
    ? `a blend with ${parts.map(({ candidate, weight }) => `${weight} ${candidate.kind}`).join(" and ")}`
    : (parts[0]?.candidate.kind ?? "")

function blend(gam: Candidate, gbdt: Candidate, share: number, outcomes: Uint8Array): Choice {
  const outOfFold = gam.outOfFold.map((raw, row) => (1 - share) * raw + share * (gbdt.outOfFold[row] ?? Number.NaN))
  return {
    parts: [
      { candidate: gam, weight: 1 - share },
      { candidate: gbdt, weight: share },
    ],
    outOfFold,
    logLoss: meanLoss(outOfFold, outcomes),
    because: "",
  }
}

/** How much lower the loss of `better` is, and its standard error; rows of one customer count as one cluster. */
function gainOf(better: Float64Array, worse: Float64Array, { outcomes, customers }: CanonicalData) {
  const [a, b] = [lossesOf(better, outcomes), lossesOf(worse, outcomes)]
  const sums = new Map<number, number>()
  let [rows, total] = [0, 0]
  for (let row = 0; row < a.length; row++) {
    const difference = (b[row] ?? 0) - (a[row] ?? 0)
    if (Number.isNaN(difference)) continue
    const customer = customers?.[row] ?? row
    sums.set(customer, (sums.get(customer) ?? 0) + difference)
    rows += 1
    total += difference
  }
  const gain = total / Math.max(1, rows)
  const mean = total / Math.max(1, sums.size)
  let squares = 0
  for (const sum of sums.values()) squares += (sum - mean) ** 2
  return { gain, error: Math.sqrt(squares) / Math.max(1, rows) }
}
