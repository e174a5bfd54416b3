/** Results as text. */
import type { FlowReport } from "./crash-points.ts"
import type { RaceReport } from "./interleavings/explore.ts"
import type { KilledRaceMutant } from "./interleavings/kill-mutants.ts"
import type { KilledMutant } from "./mutants/mutants.ts"
import type { OrdersReport } from "./orders.ts"
import type { Run } from "./run.ts"
import type { RequestCounter } from "./schedules.ts"

/** At most so many failures are listed. */
const LISTED_MAX = 10

const YEAR_MS = 365 * 86_400_000

/** Counts over many schedules, faults by kind, and the first seeds that failed. */
export function scheduleTable({ runs, figures, kinds, failed }: RequestCounter): string {
  const { simulatedMs = 0, ...rest } = figures
  const rows: [string, number | string][] = [
    ["schedules", runs],
    ...Object.entries(rest),
    ["simulated years", (simulatedMs / YEAR_MS).toFixed(1)],
    ...Object.entries(kinds).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]
  const failures = failed
    .toSorted((a, b) => a.seed - b.seed)
    .slice(0, LISTED_MAX)
    .map(({ seed, violations }) => `\nseed ${seed}: npm run simulate -- --seed ${seed}\n${indented(violations)}`)
  return [...rows.map(([name, value]) => `${name.padEnd(24)} ${value}`), ...failures].join("\n")
}

/** The trace of a schedule; if it failed, of its smallest version with its remaining faults. */
export function runText(run: Run, smallest: Run): string {
  const figures = `seed ${run.seed}, hash ${run.hash}, ${JSON.stringify(run.figures)}`
  if (run.violations.length === 0) return [...run.trace, "", figures, "every invariant holds"].join("\n")
  return [
    ...smallest.trace,
    "",
    figures,
    `violated with ${run.faults.length} faults:`,
    indented(run.violations),
    `and still with these ${smallest.faults.length}, traced above:`,
    indented(smallest.faults.map(({ kind, id }) => `${kind} at ${id}`)),
    indented(smallest.violations),
  ].join("\n")
}

/** The crash points of each flow. */
export const crashTable = (reports: readonly FlowReport[]): string =>
  [
    row("flow", "effects", "single", "double", "faults"),
    ...reports.map(({ name, effects, single, double, faults }) => row(name, effects, single, double, faults.length)),
    row("total", "", sum(reports, "single"), sum(reports, "double"), reports.flatMap(({ faults }) => faults).length),
    ...reports.flatMap(({ faults }) => faults.slice(0, LISTED_MAX)),
  ].join("\n")

/** The orders of each scenario. */
export const orderTable = (reports: readonly OrdersReport[]): string =>
  [
    row("scenario", "events", "orders", "states", "faults"),
    ...reports.map(({ name, timing, events, orders, states, faults }) =>
      row(`${name} (${timing})`, events, orders, states, faults.length),
    ),
    row("total", "", sum(reports, "orders"), sum(reports, "states"), reports.flatMap(({ faults }) => faults).length),
    ...reports.flatMap(({ faults }) => faults.slice(0, LISTED_MAX)),
  ].join("\n")

/** Each guard, where it was removed, and what noticed it. */
export const mutantTable = (kills: readonly KilledMutant[]): string =>
  [
    ...kills.map(
      ({ guard, where, by, fault, runs }) =>
        `${by === null ? "SURVIVES" : "killed"}  ${guard}\n  in ${where}\n  ${by === null ? "not noticed" : `by ${by}, run ${runs}`}: ${fault ?? ""}`,
    ),
    `${kills.filter(({ by }) => by !== null).length} of ${kills.length} killed`,
  ].join("\n")

/** The schedules of each race; a failure can be repeated by its name. */
export const interleavingTable = (reports: readonly RaceReport[]): string =>
  [
    row("race", "schedules", "stops", "waits", "failed"),
    ...reports.map(({ race, schedules, stops, blocked, failed }) =>
      row(race, schedules, stops, blocked, failed.length),
    ),
    row(
      "total",
      ...[sum(reports, "schedules"), sum(reports, "stops"), sum(reports, "blocked")],
      reports.flatMap(({ failed }) => failed).length,
    ),
    ...reports
      .flatMap(({ failed }) => failed)
      .slice(0, LISTED_MAX)
      .map(({ schedule, violations }) => `${schedule}\n${indented(violations)}`),
  ].join("\n")

/** Each guard of the races, and the schedule that noticed its removal. */
export const raceMutantTable = (kills: readonly KilledRaceMutant[]): string =>
  kills
    .map(({ guard, by, violations, schedules }) =>
      by === null
        ? `SURVIVES  ${guard}\n  ${schedules} schedules`
        : `killed  ${guard}\n  by "${by}", schedule ${schedules}: ${violations[0] ?? ""}`,
    )
    .join("\n")

const indented = (lines: readonly string[]): string => lines.map((line) => `  ${line}`).join("\n")

const row = (name: string, ...cells: readonly (string | number)[]): string =>
  `${name.padEnd(64)}${cells.map((cell) => String(cell).padStart(9)).join("")}`

const sum = <K extends string>(reports: readonly Readonly<Record<K, number>>[], key: K): number =>
  reports.reduce((total, report) => total + report[key], 0)
