/** Lists as CSV: the rows of the API with its names, as the viewer's role may see them. */
import { type Cell, csvStream } from "../../shared/csv.ts"
import { furtherPages } from "../platform/limits/companies.ts"
import { type DashboardContext, listQuery } from "./page.tsx"
import { EXPORT_ROWS_MAX, pathWith } from "./parts/parts.tsx"

interface ListPage<Row> {
  readonly data: readonly Row[]
  readonly nextCursor: string | null
}

/** Rows of a page; the API's largest. */
const PAGE_ROWS = 200

/**
 * Each page is one subrequest, and ten are counted by another. An invocation has a thousand on the paid plan and fifty on the
 * free one.
 */
const PAGES_MAX = EXPORT_ROWS_MAX / PAGE_ROWS

/**
 * The list with the filters of the page, as a file called `name`. `read` asks for one page; `columns` are fields of the API's
 * rows, of which objects become JSON. Each page counts as a call of the API. The last line of an incomplete file is the address
 * of the file that continues it.
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
  const further = furtherPages(c.get("services"), c.get("viewer").principal.companyId)
  async function* pages(): AsyncGenerator<readonly (readonly Cell[])[]> {
    let page = first
    let rest: string
    try {
      for (let pageNumber = 1; ; pageNumber++) {
        yield page.data.map((row) => columns.map((column) => cellOf(row[column])))
        if (page.nextCursor === null) return
        rest = pathWith(c.req.path, { ...query, cursor: page.nextCursor })
        if (pageNumber === PAGES_MAX || !(await further.take())) break
        page = await read({ ...query, cursor: page.nextCursor, limit: PAGE_ROWS })
      }
      // Every line has as many fields as the first one.
      const note = `Incomplete. The other rows: ${c.get("services").config.appUrl}${rest}`
      yield [columns.map((_, place) => (place === 0 ? note : null))]
    } finally {
      further.finish()
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
