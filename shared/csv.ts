/** CSV for people who open it in a spreadsheet (RFC 4180: CRLF, quotes doubled). */

import { textStream } from "./text-stream.ts"

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
  async function* texts(): AsyncGenerator<string> {
    yield csvRow(head)
    for await (const rows of pages) yield rows.map(csvRow).join("")
  }
  return textStream(texts())
}
