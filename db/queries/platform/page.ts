/** Pages of lists, newest first, by keyset: rows that are added meanwhile neither shift a page nor appear twice. */

/** The last row of a page: its time, and its id among rows of the same time. */
export interface ListPosition {
  readonly at: Date
  readonly id: string
}

/** Which page is wanted: what comes after `after`, or the first one. */
export interface PageRequest {
  readonly limit: number
  readonly after: ListPosition | null
}

/** `end` is where the next page goes on; null: there is none. */
export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly end: ListPosition | null
}

/** The page of rows that were read with one more than the limit, which tells whether another page follows. */
export function pageOf<Row>(
  read: readonly Row[],
  { limit }: PageRequest,
  positionOf: (row: Row) => ListPosition,
): Page<Row> {
  const rows = read.slice(0, limit)
  const last = rows.at(-1)
  return { rows, end: last !== undefined && read.length > limit ? positionOf(last) : null }
}
