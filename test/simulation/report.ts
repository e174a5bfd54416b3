/** What was played, as a person reads it. */
import type { FlowReport } from "./crash-points.ts"
import type { Kill } from "./mutants.ts"
import type { OrdersReport } from "./orders.ts"
import type { Run } from "./run.ts"
import type { Tally } from "./schedules.ts"

/** More failing seeds than this are not told one by one. */
const TOLD_MAX = 10
const YEAR_MS = 365 * 86_400_000

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("")
const indented = (texts: readonly string[]): string => lines(texts.map((text) => `  ${text}`))

/** Columns as wide as their widest cell; numbers stand to the right. */
function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows.map((row) => row.map(String))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const isNumber = head.map((_, column) => rows.every((row) => typeof row[column] === "number"))
  return lines(
    cells.map((row) =>
      row
        .map((cell, column) =>
          isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    ),
  )
}

/** The schedules together, and each that failed. */
export function tallyInWords({ runs, figures, kinds, failed }: Tally): string {
  const { simulatedMs = 0, ...others } = figures
  const rows: [string, number | string][] = [
    ["schedules", runs],
    ...Object.entries(others),
    ["simulated years", (simulatedMs / YEAR_MS).toFixed(1)],
    ...Object.entries(kinds).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]
  const failures = failed
    .slice(0, TOLD_MAX)
    .map(({ seed, violations }) => `\nseed ${seed} (npm run simulate -- --seed ${seed})\n${indented(violations)}`)
  return lines(rows.map(([name, value]) => `${name.padEnd(24)} ${value}`)) + failures.join("")
}

/** One schedule: its trace, and what broke it. */
export function scheduleInWords(run: Run, smallest: Run): string {
  const course = `${lines(smallest.trace)}\nseed ${run.seed}, hash ${run.hash}, ${JSON.stringify(run.figures)}\n`
  if (run.violations.length === 0) return `${course}every invariant holds\n`
  const all = `broken with all ${run.faults.length} faults:\n${indented(run.violations)}`
  const few = `broken with these ${smallest.faults.length}:\n${indented(smallest.faults.map(({ kind, where }) => `${kind} at ${where}`))}`
  return `${course}${all}${few}${indented(smallest.violations)}`
}

/** The flows with their crash points. */
export function crashesInWords(reports: readonly FlowReport[]): string {
  const rows = reports.map(({ name, effects, single, double }) => [name, effects, single, double])
  const sum = (of: (report: FlowReport) => number): number => reports.reduce((total, report) => total + of(report), 0)
  const all = ["all", sum(({ effects }) => effects), sum(({ single }) => single), sum(({ double }) => double)]
  return (
    table(["flow", "effects", "single", "double"], [...rows, all]) + indented(reports.flatMap(({ faults }) => faults))
  )
}

/** The stories with their orders. */
export function ordersInWords(reports: readonly OrdersReport[]): string {
  const rows = reports.map(({ name, timing, events, orders, states, deliveries }) => [
    ...[name, timing],
    ...[events, orders, states, deliveries],
  ])
  const faults = reports.flatMap(({ name, timing, faults: own }) => own.map((fault) => `${name}, ${timing}: ${fault}`))
  return table(["story", "times", "events", "orders", "states", "deliveries"], rows) + indented(faults)
}

/** The guards, and what notices that one is missing. */
export function killsInWords(kills: readonly Kill[]): string {
  const rows = kills.map(({ guard, where, by, played }) => [
    guard,
    where.slice(0, 48),
    by ?? "NOTHING NOTICED IT",
    played,
  ])
  const killed = kills.filter(({ by }) => by !== null).length
  return `${table(["guard switched off", "where", "noticed by", "played"], rows)}${killed} of ${kills.length} noticed\n`
}
