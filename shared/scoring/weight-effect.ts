/**
 * The effect of weighting health components differently from the model: AUC and log loss with the model's weights and with
 * others, on scores with known outcome.
 */
import { COMPONENTS, type Component, type ComponentWeights } from "../domain/scoring/health.ts"

/** A score with its outcome. Components are in log-odds; the rest of the log-odds belongs to no component. */
export interface LabelledScore {
  readonly logOdds: number
  readonly components: Readonly<Partial<Record<Component, number>>>
  readonly isChurned: boolean
}

export interface WeightEffect {
  readonly rows: number
  readonly events: number
  /** ROC AUC under the model's weights and under the others; null where only one outcome occurs. */
  readonly auc: {
    readonly model: number
    readonly weighted: number
    readonly difference: number
    /** Of the paired difference (DeLong, DeLong and Clarke-Pearson 1988); null with fewer than two rows of an outcome. */
    readonly standardError: number | null
  } | null
  /** Mean log loss of the probabilities. */
  readonly logLoss: { readonly model: number; readonly weighted: number } | null
}

/** Compares both weightings on the same rows. Accepts an empty list. */
export function weightEffect(rows: readonly LabelledScore[], weights: ComponentWeights): WeightEffect {
  const labels = rows.map(({ isChurned }) => isChurned)
  const events = labels.filter(Boolean).length
  const model = rows.map(({ logOdds }) => logOdds)
  const weighted = rows.map((row) => weightedLogOdds(row, weights))
  if (rows.length === 0) return { rows: 0, events: 0, auc: null, logLoss: null }
  const [first, second] = [placements(model, labels), placements(weighted, labels)]
  const isMixed = events > 0 && events < rows.length
  const differences = first.map((value, index) => (second[index] ?? 0) - value)
  const [aucModel, aucWeighted] = [meanWhere(first, labels, true), meanWhere(second, labels, true)]
  return {
    ...{ rows: rows.length, events },
    auc: isMixed
      ? {
          ...{ model: aucModel, weighted: aucWeighted, difference: aucWeighted - aucModel },
          standardError: standardErrorOf(differences, labels),
        }
      : null,
    logLoss: { model: logLossOf(model, labels), weighted: logLossOf(weighted, labels) },
  }
}

function weightedLogOdds({ logOdds, components }: LabelledScore, weights: ComponentWeights): number {
  return COMPONENTS.reduce((sum, name) => sum + (weights[name] - 1) * (components[name] ?? 0), logOdds)
}

/**
 * For each row, the share of rows with the other outcome that are ranked correctly relative to it; ties count half. The mean
 * over either outcome is the AUC.
 */
function placements(scores: readonly number[], labels: readonly boolean[]): number[] {
  const order = scores.map((_, index) => index).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0))
  const events = labels.filter(Boolean).length
  const result = new Array<number>(scores.length).fill(0)
  let [eventsBelow, othersBelow] = [0, 0]
  for (let start = 0; start < order.length; ) {
    let end = start
    while (end < order.length && scores[order[end] ?? 0] === scores[order[start] ?? 0]) end++
    const tied = order.slice(start, end)
    const tiedEvents = tied.filter((index) => labels[index]).length
    const tiedOthers = tied.length - tiedEvents
    for (const index of tied) {
      result[index] = labels[index]
        ? (othersBelow + tiedOthers / 2) / Math.max(1, scores.length - events)
        : (events - eventsBelow - tiedEvents / 2) / Math.max(1, events)
    }
    eventsBelow += tiedEvents
    othersBelow += tiedOthers
    start = end
  }
  return result
}

const where = (values: readonly number[], labels: readonly boolean[], wanted: boolean): number[] =>
  values.filter((_, index) => labels[index] === wanted)

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

const meanWhere = (values: readonly number[], labels: readonly boolean[], wanted: boolean): number =>
  mean(where(values, labels, wanted))

function standardErrorOf(differences: readonly number[], labels: readonly boolean[]): number | null {
  const parts = [true, false].map((wanted) => where(differences, labels, wanted))
  if (parts.some(({ length }) => length < 2)) return null
  const variance = parts.reduce((sum, part) => {
    const middle = mean(part)
    const squares = part.reduce((total, value) => total + (value - middle) ** 2, 0)
    return sum + squares / (part.length - 1) / part.length
  }, 0)
  return Math.sqrt(variance)
}

/** -ln of the probability predicted for the actual outcome: ln(1 + e^±z), without overflow. */
function logLossOf(logOdds: readonly number[], labels: readonly boolean[]): number {
  return mean(
    logOdds.map((z, index) => {
      const against = labels[index] ? -z : z
      return against > 0 ? against + Math.log1p(Math.exp(-against)) : Math.log1p(Math.exp(against))
    }),
  )
}
