import type { ModelFeature } from "../../scoring/artefact.ts"

/**
 * A table as trainers and the evaluator read it: one column a feature, in the order of the artefact. A number is itself, a
 * category the place of its level, NaN is missing. An infinity or a place that no level has counts as missing too.
 */
export type Matrix = {
  readonly features: readonly ModelFeature[]
  readonly columns: readonly Float64Array[]
  readonly rows: number
}

/** The rows at the given places, in that order. */
export function selectRows(matrix: Matrix, places: ArrayLike<number>): Matrix {
  const columns = matrix.columns.map((column) => {
    const taken = new Float64Array(places.length)
    for (let row = 0; row < places.length; row++) taken[row] = column[places[row] ?? 0] ?? Number.NaN
    return taken
  })
  return { features: matrix.features, columns, rows: places.length }
}
