/** Which rows churned, from the two values of a label column in any usual spelling. */
import { TableError } from "./csv.ts"
import { levelOf, type RawColumn } from "./table.ts"

/** The outcome of a row without a label. */
export const UNLABELLED = 255

/** Words for "left" and "stayed", in lower case without a final period. */
const CHURNED = new Set(
  "1 yes true y t churned churn churner left lost leaver gone canceled cancelled exited attrited positive".split(" "),
)
const NOT_CHURNED = new Set(
  "0 no false n f stayed stay retained active existing current loyal negative -1 none".split(" "),
)
/** Phrases are matched by their start: `attrited customer`, `not churned`. */
const NOT_CHURNED_PATTERN = /^(?:not?[ _-]|non[ _-]?|existing|current|active|retained|stayed)/
const CHURNED_PATTERN = /^(?:attrited|churned|left|lost|cancell?ed|exited)/

/** Outcomes by row: 1 left, 0 stayed, `UNLABELLED`. */
export interface Label {
  readonly name: string
  readonly outcomes: Uint8Array
  /** The value that means "left", as in the data. */
  readonly positive: string
  readonly events: number
  readonly unlabelled: number
}

/** How many different values an error names. */
const NAMED_MAX = 6

/**
 * Reads the label. `positive` is the value that means "left", if it is not obvious. Throws `TableError` if the label is empty
 * in every row, has only one outcome (unless `mayBeOne`), more than two, or two whose meaning is unclear.
 */
export function readLabel(column: RawColumn, options: { positive?: string; mayBeOne?: boolean } = {}): Label {
  const { name, numbers, places, words } = column
  const wordAt = (row: number): string | null => {
    const number = numbers[row] ?? Number.NaN
    if (!Number.isNaN(number)) return levelOf(number)
    return words[places?.[row] ?? -1] ?? null
  }
  const found = new Set<string>()
  for (let row = 0; row < numbers.length && found.size <= NAMED_MAX; row++) {
    const word = wordAt(row)
    if (word !== null) found.add(word)
  }
  const wordsFound = [...found].sort()
  if (wordsFound.length === 0) throw new TableError(`The label ${name} is empty in every row.`)
  const positive = positiveOf(name, wordsFound, options.positive)
  const outcomes = new Uint8Array(numbers.length)
  let [events, unlabelled] = [0, 0]
  for (let row = 0; row < numbers.length; row++) {
    const word = wordAt(row)
    const isEvent = word !== null && isSame(word, positive)
    outcomes[row] = word === null ? UNLABELLED : Number(isEvent)
    events += Number(isEvent)
    unlabelled += Number(word === null)
  }
  const isOne = events === 0 || events + unlabelled === numbers.length
  if (isOne && options.mayBeOne !== true) {
    throw new TableError(
      `The label ${name} has one outcome only (${wordsFound.join(", ")}); there is nothing to learn.`,
    )
  }
  return { name, outcomes, positive, events, unlabelled }
}

function positiveOf(name: string, words: readonly string[], named: string | undefined): string {
  if (words.length > 2 && (named === undefined || words.length > NAMED_MAX)) {
    const shown = words.slice(0, NAMED_MAX).join(", ")
    throw new TableError(
      `The label ${name} has more than two values (${shown}${words.length > NAMED_MAX ? ", …" : ""}); name the one that means "left" with --positive.`,
    )
  }
  if (named !== undefined) {
    const found = words.find((word) => isSame(word, named))
    if (found !== undefined) return found
    // In a table without churned rows the value does not occur, and is still valid.
    if (words.length === 1) return named
    throw new TableError(`The label ${name} is never ${named}; it is ${words.join(" or ")}.`)
  }
  const [first = "", second] = words
  if (second === undefined) return isLeft(first) === false ? "1" : first
  const isCode = words.every((word) => /^-?\d/.test(word)) // 1 and 2 are ambiguous; 1 with 0 or -1 is not
  const [a, b] =
    isCode && !words.some((word) => word === "0" || word === "-1") ? [null, null] : [isLeft(first), isLeft(second)]
  if (a === true && b !== true) return first
  if (b === true && a !== true) return second
  if (a === false && b === null) return second
  if (b === false && a === null) return first
  throw new TableError(`Which value of the label ${name} means "left", ${first} or ${second}? Say so with --positive.`)
}

/** Whether a word means "left"; null if unclear. */
function isLeft(word: string): boolean | null {
  const plain = plainOf(word)
  if (CHURNED.has(plain)) return true
  if (NOT_CHURNED.has(plain) || NOT_CHURNED_PATTERN.test(plain)) return false
  return CHURNED_PATTERN.test(plain) ? true : null
}

const plainOf = (word: string): string => word.trim().toLowerCase().replace(/\.$/, "")
const isSame = (a: string, b: string): boolean => plainOf(a) === plainOf(b)
