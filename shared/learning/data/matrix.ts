import type { ModelFeature } from "../../scoring/model/artefact.ts"

/**
 * The table for trainers and the evaluator: one column per feature, in the order of the artefact. A category is the index of
 * its level, NaN is missing. Infinities and indices out of range count as missing too.
 */
export type Matrix = {
  readonly features: readonly ModelFeature[]
  readonly columns: readonly Float64Array[]
  readonly rows: number
}

/** The rows at the given indices, in that order. */
export function selectRows(matrix: Matrix, places: ArrayLike<number>): Matrix {
  const columns = matrix.columns.map((column) => {
    const taken = new Float64Array(places.length)
    for (let row = 0; row < places.length; row++) taken[row] = column[places[row] ?? 0] ?? Number.NaN
    return taken
  })
  return { features: matrix.features, columns, rows: places.length }
}
