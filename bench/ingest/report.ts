/** The measurements as a table, ratios first, or as JSON. */
import { availableParallelism, cpus } from "node:os"
import type { Bundle } from "../support/bundle.ts"
import { type MedianSpread, medianSpread } from "../support/statistics.ts"
import type { IngestMeasurement } from "./measure.ts"
import type { Scenario, TargetName } from "./scenarios.ts"

export interface ScenarioResult {
  readonly scenario: Scenario
  /** One entry for each round, in order. */
  readonly measurements: Readonly<Record<TargetName, readonly IngestMeasurement[]>>
}

export interface Report {
  readonly seconds: number
  readonly rounds: number
  readonly connections: number
  readonly isJson: boolean
  readonly results: readonly ScenarioResult[]
  readonly bundles: Readonly<Record<TargetName, Bundle>>
}

type Measure = Exclude<keyof IngestMeasurement, "events">

const OURS: TargetName = "churn-saver"
const OTHERS: readonly TargetName[] = ["bare", "bare-signed"]
const NAMES: readonly TargetName[] = [...OTHERS, OURS]

const COLUMNS: readonly { readonly measure: Measure; readonly title: string; readonly digits: number }[] = [
  { measure: "eventsPerSecond", title: "events/s", digits: 0 },
  { measure: "p50Ms", title: "p50 ms", digits: 2 },
  { measure: "p95Ms", title: "p95 ms", digits: 2 },
  { measure: "p99Ms", title: "p99 ms", digits: 2 },
  { measure: "workerCpuMs", title: "workerd CPU ms", digits: 3 },
  { measure: "postgresCpuMs", title: "Postgres CPU ms", digits: 3 },
  { measure: "postgresTrips", title: "Postgres trips", digits: 2 },
  { measure: "redisTrips", title: "Redis", digits: 3 },
  { measure: "qstashTrips", title: "QStash", digits: 3 },
]

const COMPARED: readonly Measure[] = ["eventsPerSecond", "p50Ms", "p95Ms", "p99Ms", "workerCpuMs", "postgresCpuMs"]

/** Writes the report to standard output. */
export function printReport(report: Report): void {
  process.stdout.write(report.isJson ? `${JSON.stringify(asJson(report), null, 2)}\n` : asText(report))
}

function asText({ seconds, rounds, connections, results, bundles }: Report): string {
  const { cpu, cores, node } = machine()
  return [
    `Ingest: ${rounds} rounds of ${seconds} s, ${connections} connections, ${cores} cores (${cpu}), Node ${node}, ${today()}`,
    "Medians of the rounds, lowest and highest in brackets. Ratios are ours ÷ theirs, round by round.",
    "",
    ...NAMES.map((name) => `Bundle ${name.padEnd(12)} ${kib(bundles[name].gzipBytes)} KiB gzip, minified`),
    ...results.flatMap((result) => ["", `${result.scenario.name}: ${result.scenario.title}`, "", ...tableOf(result)]),
    "",
  ].join("\n")
}

function tableOf(result: ScenarioResult): string[] {
  const header = ["", ...COLUMNS.map(({ title }) => title)]
  const ratios = OTHERS.map((other) => [
    `ours ÷ ${other}`,
    ...COLUMNS.map(({ measure }) => (COMPARED.includes(measure) ? withRange(ratioOf(result, other, measure), 2) : "")),
  ])
  const absolute = NAMES.map((name) => [
    name,
    ...COLUMNS.map(({ measure, digits }) => withRange(spreadOver(result.measurements[name], measure), digits)),
  ])
  return alignedRows([header, ...ratios, ...absolute])
}

/** Rows of a Markdown table with aligned columns. */
function alignedRows(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(" | ")} |`
  const rule = `|${widths.map((width, i) => `${"-".repeat(width + 1)}${i === 0 ? "-" : ":"}`).join("|")}|`
  const [header = [], ...body] = rows
  return [line(header), rule, ...body.map(line)]
}

/** Null where it was not measured. */
function spreadOver(measurements: readonly IngestMeasurement[], measure: Measure): MedianSpread | null {
  const values = measurements.map((round) => round[measure]).filter((value) => value !== null)
  return values.length === 0 ? null : medianSpread(values)
}

function ratioOf({ measurements }: ScenarioResult, other: TargetName, measure: Measure): MedianSpread | null {
  const ratios = measurements[OURS].flatMap((ours, round) => {
    const [a, b] = [ours[measure], measurements[other][round]?.[measure]]
    return a === null || !b ? [] : [a / b]
  })
  return ratios.length === 0 ? null : medianSpread(ratios)
}

function withRange(spread: MedianSpread | null, digits: number): string {
  if (spread === null) return "n/a"
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => value.toFixed(digits))
  return min === max ? `${median}` : `${median} (${min}–${max})`
}

function asJson({ seconds, rounds, connections, results, bundles }: Report): unknown {
  return {
    benchmark: "ingest",
    at: new Date().toISOString(),
    machine: machine(),
    options: { seconds, rounds, connections },
    bundles: Object.fromEntries(
      NAMES.map((name) => [name, { bytes: bundles[name].bytes, gzipBytes: bundles[name].gzipBytes }]),
    ),
    scenarios: results.map((result) => ({
      name: result.scenario.name,
      ratios: Object.fromEntries(
        OTHERS.map((other) => [
          other,
          Object.fromEntries(COMPARED.map((measure) => [measure, ratioOf(result, other, measure)])),
        ]),
      ),
      medians: Object.fromEntries(
        NAMES.map((name) => [
          name,
          Object.fromEntries(COLUMNS.map(({ measure }) => [measure, spreadOver(result.measurements[name], measure)])),
        ]),
      ),
      rounds: result.measurements,
    })),
  }
}

const machine = () => ({
  cores: availableParallelism(),
  cpu: cpus()[0]?.model ?? "unknown",
  node: process.versions.node,
})
const today = (): string => new Date().toISOString().slice(0, 10)
const kib = (bytes: number): string => (bytes / 1024).toFixed(1)
