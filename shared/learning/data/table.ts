/**
 * A table in memory, column by column, before columns are typed. Each field is missing, a number or a word, independent of
 * other fields, so that it means the same in training and in prediction.
 */
import { TableError } from "./csv.ts"

/** Usual spellings of "not known". `none` and `-` are not included, because they are often levels of a category. */
const MISSING = new Set(["", "na", "n/a", "#n/a", "nan", "null", "?", "inf", "-inf", "+inf", "infinity", "-infinity"])
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/** More rows than this do not fit into memory together with what is fitted to them. */
export const ROWS_MAX = 5_000_000
/** More different words are not stored, because no model can use such a column. */
const WORDS_MAX = 200_000

/** The value of a field; null is missing, numbers are finite. */
export function readField(text: string): number | string | null {
  const word = text.trim()
  const first = word.charCodeAt(0)
  // Only a digit, a sign or a decimal point can start a number.
  if ((first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46) {
    if (NUMBER.test(word)) {
      const number = Number(word)
      return Number.isFinite(number) ? number : null
    }
  }
  return MISSING.has(word.toLowerCase()) ? null : word
}

/** The name of the category level for a field. */
export const levelOf = (field: number | string): string => (typeof field === "number" ? String(field) : field)

/** One column as read. */
export interface RawColumn {
  readonly name: string
  /** NaN where the field is missing or a word. */
  readonly numbers: Float64Array
  /** Index of the word in `words`, -1 if the field is missing or a number. Null if no field is a word. */
  readonly places: Int32Array | null
  /** The different words in order of their first row. */
  readonly words: readonly string[]
  /** Whether there were too many words to store in `words`. */
  readonly hasMoreWords: boolean
}

/** A table. Line numbers are not stored, because errors of a row are reported while reading. */
export interface Table {
  readonly rows: number
  readonly columns: readonly RawColumn[]
}

/** Collects rows. */
export class TableBuilder {
  readonly #columns: ColumnBuilder[]
  #rows = 0

  constructor(header: readonly string[]) {
    this.#columns = header.map((name) => new ColumnBuilder(name))
  }

  get rows(): number {
    return this.#rows
  }

  /** Adds a row with a field for each column. Throws `TableError` if there are too many rows. */
  add(fields: readonly string[]): void {
    if (this.#rows === ROWS_MAX) throw new TableError(`The table has more than ${ROWS_MAX} rows; take a part of it.`)
    for (let i = 0; i < this.#columns.length; i++) this.#columns[i]?.add(this.#rows, fields[i] ?? "")
    this.#rows += 1
  }

  build(): Table {
    return { rows: this.#rows, columns: this.#columns.map((column) => column.build(this.#rows)) }
  }
}

class ColumnBuilder {
  readonly #name: string
  #numbers = new Float64Array(1024)
  #places: Int32Array | null = null
  readonly #words: string[] = []
  readonly #placeOf = new Map<string, number>()
  #hasMoreWords = false

  constructor(name: string) {
    this.#name = name
  }

  add(row: number, text: string): void {
    if (row === this.#numbers.length) this.#grow()
    const field = readField(text)
    this.#numbers[row] = typeof field === "number" ? field : Number.NaN
    if (typeof field === "string") this.#placesOf()[row] = this.#placeOfWord(field)
    else if (this.#places !== null) this.#places[row] = -1
  }

  build(rows: number): RawColumn {
    return {
      name: this.#name,
      numbers: this.#numbers.slice(0, rows),
      places: this.#places?.slice(0, rows) ?? null,
      words: this.#words,
      hasMoreWords: this.#hasMoreWords,
    }
  }

  #placeOfWord(word: string): number {
    const known = this.#placeOf.get(word)
    if (known !== undefined) return known
    if (this.#words.length === WORDS_MAX) {
      this.#hasMoreWords = true
      return -1
    }
    // Copied, because a substring would keep the whole text in memory.
    const own = word.split("").join("")
    this.#placeOf.set(own, this.#words.length)
    this.#words.push(own)
    return this.#words.length - 1
  }

  #placesOf(): Int32Array {
    this.#places ??= new Int32Array(this.#numbers.length).fill(-1)
    return this.#places
  }

  #grow(): void {
    const numbers = new Float64Array(this.#numbers.length * 2)
    numbers.set(this.#numbers)
    this.#numbers = numbers
    if (this.#places === null) return
    const places = new Int32Array(numbers.length).fill(-1)
    places.set(this.#places)
    this.#places = places
  }
}
