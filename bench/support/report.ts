/** What a benchmark found: tables, charts and all numbers; as text, as JSON, and in docs/BENCHMARKS.md. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { machine, whenAndWhere } from "./machine.ts"
import { type MedianSpread, medianSpread } from "./statistics.ts"

/** A table; its first row holds the titles of the columns. */
export interface Table {
  readonly title: string
  readonly note?: string
  readonly rows: readonly (readonly string[])[]
}

/** A chart. `name` becomes part of its file's name. */
export interface Chart {
  readonly name: string
  readonly title: string
  readonly svg: string
}

export interface BenchmarkReport {
  readonly name: string
  readonly at: Date
  /** How it was measured, in a sentence. */
  readonly summary: string
  readonly tables: readonly Table[]
  readonly charts: readonly Chart[]
  /** Everything that was measured, for machines. */
  readonly data: unknown
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const DOCUMENT = join(ROOT, "docs", "BENCHMARKS.md")
const IMAGES = join(ROOT, "docs", "images", "bench")

/** The report for a terminal. */
export const asText = (report: BenchmarkReport): string =>
  [titleOf(report), ...report.tables.flatMap(tableLines), ""].join("\n")

/** The report for machines. */
export const asJson = ({ name, at, summary, data }: BenchmarkReport) => ({
  benchmark: name,
  at: at.toISOString(),
  machine: machine(),
  summary,
  data,
})

/** Writes the charts, and the tables between the marks of this benchmark in docs/BENCHMARKS.md. Throws without marks. */
export function writeReport(report: BenchmarkReport): void {
  const { name, tables, charts } = report
  mkdirSync(IMAGES, { recursive: true })
  for (const chart of charts) writeFileSync(join(IMAGES, `${name}-${chart.name}.svg`), `${chart.svg}\n`)
  const images = charts.map(({ name: chart, title }) => `![${title}](images/bench/${name}-${chart}.svg)`)
  const body = [titleOf(report), ...images.flatMap((image) => ["", image]), ...tables.flatMap(tableLines)].join("\n")

  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`]
  const text = readFileSync(DOCUMENT, "utf8")
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/BENCHMARKS.md has no "${begin}" followed by "${end}"`)
  writeFileSync(DOCUMENT, `${text.slice(0, from + begin.length)}\n${body}\n${text.slice(to)}`)
}

const titleOf = ({ at, summary }: BenchmarkReport): string => `${summary} ${whenAndWhere(at)}.`

const tableLines = ({ title, note, rows }: Table): string[] => [
  "",
  `**${title}**${note === undefined ? "" : ` ${note}`}`,
  "",
  ...alignedRows(rows),
]

/** Rows of a Markdown table with aligned columns. */
export function alignedRows(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lineOf = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(" | ")} |`
  const rule = `|${widths.map((width, i) => `${"-".repeat(width + 1)}${i === 0 ? "-" : ":"}`).join("|")}|`
  const [header = [], ...body] = rows
  return [lineOf(header), rule, ...body.map(lineOf)]
}

/** The median, with the lowest and highest value in brackets where they differ. */
export function withRange(spread: MedianSpread | null, digits: number): string {
  if (spread === null) return "n/a"
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => value.toFixed(digits))
  return min === max ? `${median}` : `${median} (${min}–${max})`
}

/** The spread of the values that were measured; null when none was. */
export function spreadOf(values: readonly (number | null)[]): MedianSpread | null {
  const measured = values.filter((value) => value !== null)
  return measured.length === 0 ? null : medianSpread(measured)
}

/** A number that may not have been measured. */
export const digitsOf = (value: number | null, digits: number): string =>
  value === null ? "n/a" : value.toFixed(digits)
