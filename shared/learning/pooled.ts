/** A pooled model: one for several companies, with an offset for each. */
import { calibrate, probabilityOf } from "../scoring/model/calibrate.ts"
import { intervalsOf, metricsOf } from "./evaluation/metrics.ts"
import { groupOffsets } from "./offsets.ts"
import { hashText } from "./random.ts"
import { evaluationMetrics, type TrainedModel } from "./train-model.ts"

/** Parts of the customers for cross-validating offsets. */
const PARTS = 5

/** The customer and the company of each row, in the original order of the training rows. */
export interface RowOwners {
  readonly customers: readonly string[]
  readonly groups: readonly (string | null)[]
  /** The name of the group column, for finding it in later tables. */
  readonly groupName: string
}

/** A model shared by several companies, with their offsets. */
export interface PooledModel extends TrainedModel {
  readonly offsets: ReadonlyMap<string, CompanyOffset>
}

/** An offset in log-odds, and the number of rows that it was estimated from. */
export interface CompanyOffset {
  readonly offset: number
  readonly rows: number
}

/**
 * The model with an offset for each group, from its out-of-fold scores. Metrics are computed again, each row with offsets
 * estimated from other customers.
 */
export function withOffsets(
  trained: TrainedModel,
  { customers, groups, groupName }: RowOwners,
  seed: number,
): PooledModel {
  const { artefact, outOfFold } = trained
  const { places, outcomes } = outOfFold
  const logits = outOfFold.raw.map((raw) => calibrate(artefact.calibration, raw))
  const groupAt = Array.from(places, (place) => groups[place] ?? null)
  const customerAt = Array.from(places, (place) => customers[place] ?? "")
  const { offsets, deviation } = groupOffsets(logits, outcomes, groupAt)

  const probabilities = new Float64Array(logits.length)
  const partOf = customerAt.map((customer) => hashText(customer) % PARTS)
  for (let part = 0; part < PARTS; part++) {
    const others = rowsWhere(partOf, (each) => each !== part)
    const offsetsOfOthers = groupOffsets(
      others.map((row) => logits[row] ?? 0),
      others.map((row) => outcomes[row] ?? 0),
      others.map((row) => groupAt[row] ?? null),
    ).offsets
    for (const row of rowsWhere(partOf, (each) => each === part)) {
      const offset = offsetsOfOthers[groupAt[row] ?? ""] ?? 0
      probabilities[row] = probabilityOf((logits[row] ?? 0) + offset)
    }
  }
  const metrics = metricsOf(probabilities, outcomes)
  const numbers = new Map<string, number>()
  const customerNumbers = Int32Array.from(customerAt, (customer) => {
    const known = numbers.get(customer)
    if (known !== undefined) return known
    numbers.set(customer, numbers.size)
    return numbers.size - 1
  })
  const intervals = intervalsOf(probabilities, outcomes, { seed, groups: customerNumbers })
  const { training } = artefact
  const rowsOf = Map.groupBy(groupAt, (group) => group ?? "")
  return {
    ...trained,
    metrics,
    intervals,
    outOfFold: { ...outOfFold, probabilities },
    offsets: new Map(
      Object.entries(offsets).map(([group, offset]) => [group, { offset, rows: rowsOf.get(group)?.length ?? 0 }]),
    ),
    artefact: {
      ...artefact,
      offsetDeviation: deviation,
      training: {
        ...training,
        metrics: evaluationMetrics(metrics, intervals),
        notes: { ...training.notes, group: groupName, groups: Object.keys(offsets).length },
      },
    },
  }
}

const rowsWhere = (parts: readonly number[], test: (part: number) => boolean): number[] =>
  parts.flatMap((part, row) => (test(part) ? [row] : []))
