/** Lists as CSV: the rows of the API with its names, as the viewer's role may see them. */
import { type Cell, csvStream } from "../../shared/csv.ts"
import { type DashboardContext, listQuery } from "./page.tsx"

interface ListPage<Row> {
  readonly data: readonly Row[]
  readonly nextCursor: string | null
}

/** Rows of a page; the API's largest. */
const PAGE_ROWS = 200

/** Each page is one subrequest, of which an invocation has a thousand on the paid plan and fifty on the free one. */
const EXPORT_ROWS_MAX = 8_000

/**
 * The list with the filters of the page, as a file called `name`. `read` asks for one page; `columns` are fields of the API's
 * rows, of which objects become JSON.
 */
export async function exportOf<Row extends object>(
  c: DashboardContext,
  name: string,
  read: (query: Readonly<Record<string, string | number | undefined>>) => Promise<ListPage<Row>>,
  columns: readonly (keyof Row & string)[],
): Promise<Response> {
  const query = listQuery(c)
  // Before the answer begins: a filter or a role that is refused becomes a page that says so, not half a file.
  const first = await read({ ...query, limit: PAGE_ROWS })
  async function* pages(): AsyncGenerator<readonly (readonly Cell[])[]> {
    let page = first
    for (let rows = PAGE_ROWS; ; rows += PAGE_ROWS) {
      yield page.data.map((row) => columns.map((column) => cellOf(row[column])))
      if (page.nextCursor === null || rows >= EXPORT_ROWS_MAX) return
      page = await read({ ...query, cursor: page.nextCursor, limit: PAGE_ROWS })
    }
  }
  const file = `${name}-${c.get("services").now().toISOString().slice(0, 10)}.csv`
  return c.body(csvStream(columns, pages()), 200, {
    "content-type": "text/csv; charset=utf-8; header=present",
    "content-disposition": `attachment; filename="${file}"`,
  })
}

const cellOf = (value: unknown): Cell =>
  value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : JSON.stringify(value)
