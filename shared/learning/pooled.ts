/** A model of several companies: one for all, with an intercept for each. */
import { calibrate, probabilityOf } from "../scoring/calibrate.ts"
import { intervalsOf, metricsOf } from "./evaluation/metrics.ts"
import { groupOffsets } from "./offsets.ts"
import { hashText } from "./random.ts"
import { evaluationMetrics, type TrainedModel } from "./train-model.ts"

/** Parts of the customers by which offsets are judged. */
const PARTS = 5

/** Whom and which company each row is about, by the rows' places as they came to training. */
export interface RowOwners {
  readonly customers: readonly string[]
  readonly groups: readonly (string | null)[]
  /** What the groups are called in the data: where the rows of a later table say which is theirs. */
  readonly groupName: string
}

/** A model that several companies share, and what each of them adds to it. */
export interface PooledModel extends TrainedModel {
  readonly offsets: ReadonlyMap<string, CompanyOffset>
}

/** In log-odds, and the rows that it was estimated from. */
export interface CompanyOffset {
  readonly offset: number
  readonly rows: number
}

/**
 * The model and an offset for each group beside it, from its out-of-fold scores. The figures are measured anew: each row with offsets
 * that rows of other customers gave.
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
    const judged = groupOffsets(
      others.map((row) => logits[row] ?? 0),
      others.map((row) => outcomes[row] ?? 0),
      others.map((row) => groupAt[row] ?? null),
    ).offsets
    for (const row of rowsWhere(partOf, (each) => each === part)) {
      const offset = judged[groupAt[row] ?? ""] ?? 0
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
