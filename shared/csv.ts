/** CSV for people who open it in a spreadsheet (RFC 4180: CRLF, quotes doubled). */

export type Cell = string | number | boolean | null | undefined

const NEEDS_QUOTES = /[",\r\n]/

/**
 * Spreadsheets run a cell that begins like this as a formula (OWASP, "CSV Injection"); an apostrophe makes it text. In many
 * languages they divide cells at semicolons, or by tabs when text is pasted, and begin one within ours.
 */
const BEGINS_FORMULA = /(^|[;\t\r\n] *)(?=[=+\-@\t\r])/g

function csvCell(value: Cell): string {
  if (value === null || value === undefined) return ""
  if (typeof value !== "string") return String(value)
  const text = value.replaceAll(BEGINS_FORMULA, "$1'")
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A row with its line end. Text that a spreadsheet would run as a formula is made text; numbers stay numbers. */
export const csvRow = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(",")}\r\n`

/** A file of rows as they come: the next page is asked for when the reader has taken the last. */
export function csvStream(head: readonly string[], pages: AsyncIterable<readonly (readonly Cell[])[]>): ReadableStream {
  const iterator = pages[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(csvRow(head)))
    },
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value.map(csvRow).join("")))
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}
