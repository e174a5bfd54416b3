/** Keyset pagination, newest first: rows that are added meanwhile neither shift a page nor appear twice. */

/** The last row of a page: its time, and its id among rows of the same time. */
export interface ListPosition {
  readonly at: Date
  readonly id: string
}

/** The page after `after`, or the first one. */
export interface PageRequest {
  readonly limit: number
  readonly after: ListPosition | null
}

/** `end` is the position after which the next page starts; null on the last page. */
export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly end: ListPosition | null
}

/** The page from rows that were read with one more than the limit, which shows whether another page follows. */
export function pageOf<Row>(
  read: readonly Row[],
  { limit }: PageRequest,
  positionOf: (row: Row) => ListPosition,
): Page<Row> {
  const rows = read.slice(0, limit)
  const last = rows.at(-1)
  return { rows, end: last !== undefined && read.length > limit ? positionOf(last) : null }
}
