/**
 * Keyset pagination, newest first unless a list says otherwise: rows that are added meanwhile neither shift a page nor appear twice.
 *
 * Lists have no index for each of their filters, since every index makes webhooks slower. So a page with other filters searches
 * a bounded number of rows: it may have fewer than were asked for, or none, and still a next page.
 */
import { asc, desc, getTableName, type SQL, Subquery, sql } from "drizzle-orm"
import type { PgColumn, PgTable } from "drizzle-orm/pg-core"

/** The last row of a page: the time or number by which the list is sorted, and its id among rows of the same. */
export interface ListPosition<At extends Date | number = Date> {
  readonly at: At
  readonly id: string
}

/** The page after `after`, or the first one. */
export interface PageRequest<At extends Date | number = Date> {
  readonly limit: number
  readonly after: ListPosition<At> | null
}

/** `end` is the position after which the next page starts; null on the last page. */
export interface Page<Row, At extends Date | number = Date> {
  readonly rows: readonly Row[]
  readonly end: ListPosition<At> | null
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

/** Rows that one page searches for those that match. */
export const SEARCHED_MAX = 2_000

/** What the statement of a page reads, and from where: rows under the name of the list's table. */
export interface ListSource {
  readonly from: Subquery
  readonly where: SQL | undefined
  readonly columns: { readonly matches: SQL<boolean>; readonly isLast: SQL<boolean> }
}

/** The columns by which a list is sorted, the newest or largest first. */
export interface ListOrder {
  readonly at: PgColumn
  readonly id: PgColumn
  readonly isAscending?: boolean
}

/** What a statement is ordered by. */
export const orderBy = ({ at, id, isAscending = false }: ListOrder): SQL[] =>
  isAscending ? [asc(at), asc(id)] : [desc(at), desc(id)]

/**
 * Searches the first rows `within` these bounds for those that match. An index must serve the order and the bounds: then
 * Postgres reads no more than it needs to fill the page.
 */
export function searching(
  table: PgTable,
  order: ListOrder,
  { within, matches = sql`true` }: { readonly within: SQL | undefined; readonly matches: SQL | undefined },
): ListSource {
  const ordered = sql.join(orderBy(order), sql`, `)
  const isLast = sql<boolean>`place = ${SEARCHED_MAX}`
  return {
    from: rowsOf(
      table,
      sql`select *, row_number() over (order by ${ordered}) as place from ${table} where ${within}
        order by ${ordered} limit ${SEARCHED_MAX}`,
    ),
    where: sql`(${matches} or ${isLast})`,
    columns: { matches: sql<boolean>`coalesce(${matches}, false)`, isLast },
  }
}

/** The rows of the pages after `after`, in the order of the list; undefined for the first page. */
export function afterPosition(
  { at, id, isAscending = false }: ListOrder,
  after: ListPosition<Date | number> | null,
): SQL | undefined {
  if (after === null) return undefined
  const value = after.at instanceof Date ? after.at.toISOString() : String(after.at)
  const typeOf = (column: PgColumn) => sql.raw(column.getSQLType())
  const position = sql`(${value}::${typeOf(at)}, ${after.id}::${typeOf(id)})`
  return isAscending ? sql`(${at}, ${id}) > ${position}` : sql`(${at}, ${id}) < ${position}`
}

/** Reads the few rows that an index finds, such as those of one customer. */
export const lookingUp = (table: PgTable, where: SQL | undefined): ListSource => ({
  from: rowsOf(table, sql`select * from ${table}`),
  where,
  columns: { matches: sql<boolean>`true`, isLast: sql<boolean>`false` },
})

const rowsOf = (table: PgTable, rows: SQL): Subquery => new Subquery(rows, {}, getTableName(table))

/** The page of rows from a `ListSource`, read with one more than the limit. */
export function foundPageOf<
  Row extends { readonly matches: boolean; readonly isLast: boolean },
  At extends Date | number,
>(
  read: readonly Row[],
  { limit }: Pick<PageRequest, "limit">,
  positionOf: (row: Row) => ListPosition<At>,
): Page<Row, At> {
  const matching = read.filter(({ matches }) => matches)
  const rows = matching.slice(0, limit)
  const end = matching.length > limit ? rows.at(-1) : read.find(({ isLast }) => isLast)
  return { rows, end: end === undefined ? null : positionOf(end) }
}
