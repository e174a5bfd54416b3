/**
 * CSV as commonly exported (RFC 4180 and usual variations): quotes with line breaks, a byte-order mark, CRLF, LF or CR, comma,
 * semicolon, tab or bar. Accepts text in chunks of any size, and yields rows as they are complete. A row that does not fit
 * the header is rejected with its line, because guessing the missing field would train on wrong data.
 */

/** An error in a table. The message is one sentence, with the line if known. */
export class TableError extends Error {}

/** A longer row means another file format or an unclosed quote. */
const ROW_CHARACTERS_MAX = 1 << 20
/** More columns are not a customer table. */
const COLUMNS_MAX = 5_000
const DELIMITERS = [",", ";", "\t", "|"] as const

/** A row's fields, and the line that it starts on (the header's is 1). */
export interface CsvRow {
  readonly fields: readonly string[]
  readonly line: number
}

/** Parses chunks of text into rows. The first row is the header; the others have as many fields. */
export class CsvReader {
  #rest = ""
  #line = 1
  #delimiter: string | null = null
  #lineEnd = "\n"
  #header: readonly string[] | null = null

  /** Names of the columns; null before the first row was read. */
  get header(): readonly string[] | null {
    return this.#header
  }

  /** The rows completed by this chunk, without the header. Throws `TableError` for text that is not a table. */
  *push(text: string): Generator<CsvRow> {
    yield* this.#read(this.#rest + text, false)
  }

  /** The last row, if the file does not end in a line break. Throws `TableError` if there was no header. */
  *end(): Generator<CsvRow> {
    yield* this.#read(this.#rest, true)
    if (this.#header === null) throw new TableError("The file is empty.")
  }

  *#read(text: string, isEnd: boolean): Generator<CsvRow> {
    let at = 0
    if (this.#delimiter === null) {
      const start = text.charCodeAt(0) === 0xfeff ? 1 : 0
      // The header determines the delimiter, so it must be complete; a CR may be the first half of CRLF.
      const first = /[\r\n]./s.exec(text)
      if (first === null && !isEnd && text.length <= ROW_CHARACTERS_MAX) {
        this.#rest = text
        return
      }
      at = start
      const line = text.slice(start, first?.index)
      if (line.includes("\u0000")) throw new TableError("The file is not text; a table is CSV, or CSV in gzip.")
      this.#lineEnd = first?.[0].startsWith("\r") === true && first[0] !== "\r\n" ? "\r" : "\n"
      this.#delimiter = delimiterOf(line)
    }
    for (;;) {
      const next = this.#rowAt(text, at, isEnd)
      if (next === null) break
      const { fields, end, lines } = next
      const line = this.#line
      at = end
      this.#line += lines
      const isBlank = fields.length === 1 && (fields[0] ?? "").trim() === ""
      if (isBlank) continue
      if (this.#header === null) this.#header = headerOf(fields)
      else if (fields.length === this.#header.length) yield { fields, line }
      else {
        const [found, wanted] = [count(fields.length, "field"), this.#header.length]
        throw new TableError(`Line ${line} has ${found}, the header has ${wanted}.`)
      }
    }
    this.#rest = text.slice(at)
    if (this.#rest.length > ROW_CHARACTERS_MAX) {
      throw new TableError(`Line ${this.#line} is longer than ${ROW_CHARACTERS_MAX} characters; is a quote not closed?`)
    }
  }

  /** The row that starts at `at`; null if its end has not arrived yet. */
  #rowAt(text: string, at: number, isEnd: boolean): { fields: string[]; end: number; lines: number } | null {
    if (at >= text.length) return null
    const found = text.indexOf(this.#lineEnd, at)
    if (found < 0 && !isEnd) return null
    const lineEnd = found < 0 ? text.length : found
    const isCrlf = lineEnd > at && text.charCodeAt(lineEnd - 1) === 13
    const line = text.slice(at, isCrlf ? lineEnd - 1 : lineEnd)
    if (line.includes('"')) return this.#quotedRowAt(text, at, isEnd)
    return { fields: line.split(this.#delimiter ?? ","), end: lineEnd + 1, lines: 1 }
  }

  /** A row with a quote in it, character by character. A quote within an unquoted field is that character. */
  #quotedRowAt(text: string, start: number, isEnd: boolean): { fields: string[]; end: number; lines: number } | null {
    const delimiter = this.#delimiter ?? ","
    const fields: string[] = []
    let at = start
    let lines = 1
    for (;;) {
      let field = ""
      if (text[at] === '"') {
        at += 1
        for (;;) {
          const close = text.indexOf('"', at)
          if (close < 0) {
            if (isEnd) throw new TableError(`Line ${this.#line} has a quote that is not closed.`)
            return null
          }
          const part = text.slice(at, close)
          for (let i = part.indexOf("\n"); i >= 0; i = part.indexOf("\n", i + 1)) lines += 1
          field += part
          at = close + 1
          if (text[at] !== '"') break
          field += '"'
          at += 1
        }
        // A quote at the end of a chunk may be the first of two.
        if (at >= text.length && !isEnd) return null
      }
      const stop = this.#fieldEnd(text, at, delimiter)
      if (stop === null && !isEnd) return null
      const end = stop ?? text.length
      const isLast = text[end] !== delimiter
      const tail = text.slice(at, end)
      fields.push(field + (isLast && tail.endsWith("\r") ? tail.slice(0, -1) : tail))
      at = end + 1
      if (isLast) return { fields, end: at, lines }
    }
  }

  #fieldEnd(text: string, at: number, delimiter: string): number | null {
    for (let i = at; i < text.length; i++) if (text[i] === delimiter || text[i] === this.#lineEnd) return i
    return null
  }
}

/** The delimiter that the header has most of outside quotes; a comma where it has none. */
function delimiterOf(header: string): string {
  const bare = header.replaceAll(/"[^"]*"/g, "")
  const counts = DELIMITERS.map((delimiter) => bare.split(delimiter).length)
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ","
}

/** Trimmed names; an empty one (some tools write an index column) is named by its position. */
function headerOf(fields: readonly string[]): readonly string[] {
  if (fields.length > COLUMNS_MAX)
    throw new TableError(`There are ${fields.length} columns; ${COLUMNS_MAX} are the most.`)
  const names = fields.map((field, i) => field.trim() || `column ${i + 1}`)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new TableError(`Two columns are named ${twice}.`)
  return names
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** A field as CSV, quoted if necessary. */
export const csvField = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
