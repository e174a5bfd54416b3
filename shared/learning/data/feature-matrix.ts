/** Builds the table for trainers and the evaluator from features of customers. */
import { type Features, featureSchema, modelFeatures } from "../../domain/scoring/features.ts"
import type { Monotone } from "../candidates.ts"
import type { Matrix } from "./matrix.ts"

/** Collects rows of features, column by column. */
export class FeatureMatrix {
  readonly #columns: number[][] = featureSchema.map(() => [])
  readonly #places = featureSchema.map(
    ({ levels }) => levels && new Map(levels.map((level, place) => [level, place] as const)),
  )

  get rows(): number {
    return this.#columns[0]?.length ?? 0
  }

  add(values: Features): void {
    for (const [input, { name }] of featureSchema.entries()) {
      const value = values[name]
      const place = typeof value === "string" ? this.#places[input]?.get(value) : value
      this.#columns[input]?.push(place ?? Number.NaN)
    }
  }

  build(): Matrix {
    return {
      features: [...modelFeatures],
      columns: this.#columns.map((column) => Float64Array.from(column)),
      rows: this.rows,
    }
  }
}

/** The plausible directions of risk by feature, in the trainers' format. */
export const plausibleDirections: Monotone = Object.fromEntries(
  featureSchema.flatMap(({ name, levels, direction }) =>
    levels || direction === 0 ? [] : [[name, direction] as const],
  ),
)
