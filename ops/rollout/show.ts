/** A launch as text. */
import type { DeploymentMetrics, Gate } from "./gates.ts"
import { type CurrentPhase, FLAG_NAMES, type Flag, type Flags } from "./phases.ts"

/** The phase; for a custom state, its differences from the nearest phase. */
export function phaseText(found: CurrentPhase, flags: Flags): string {
  if (found.phase === "initial") return "Phase: off (initial): nothing has been launched, events are stored and held"
  if (found.phase !== "custom") return `Phase: ${found.phase}`
  const lines = found.differences.map(
    ({ name, expected }) => `  ${name} is ${flagText(flags[name])}; ${found.nearest} has it ${expected}`,
  )
  return [`Phase: custom (nearest: ${found.nearest})`, ...lines].join("\n")
}

/** The flags, one per line. */
export const flagsText = (flags: Flags): string => table(FLAG_NAMES.map((name) => [`  ${name}`, flagText(flags[name])]))

/** A flag's value as text. */
export function flagText({ enabled, percentage, allow, deny }: Flag): string {
  if (!enabled) return "off"
  const lists = [allow.length > 0 ? `and ${allow.join(", ")}` : "", deny.length > 0 ? `without ${deny.join(", ")}` : ""]
  return ["on for", `${percentage} %`, ...lists].filter((part) => part !== "").join(" ")
}

/** The metrics and the results of the gates. */
export function gatesText(figures: DeploymentMetrics, gates: readonly Gate[]): string {
  const { windowMinutes, requests, processing, delivery } = figures
  const rows = gates.map(({ name, wanted, value, isKept, note }) => [
    `  ${isKept ? "✔" : "✘"} ${name}`,
    value ?? "no data",
    `wanted ${wanted}`,
    note === null ? "" : `(${note})`,
  ])
  return [
    `Metrics of the last ${windowMinutes} minutes${figures.isPartial ? ", of one isolate alone: Redis is unavailable" : ""}`,
    table([
      ["  requests", String(requests)],
      [
        "  events",
        `${processing.received} received, ${processing.processed} processed, ${processing.failed} failed, ${processing.waiting} waiting`,
      ],
      ["  nudges", `${delivery.sent} sent, ${delivery.failed} failed, ${delivery.unknown} unknown`],
    ]),
    table(rows),
  ].join("\n")
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, index) => Math.max(all[index] ?? 0, [...cell].length)),
    [],
  )
  return rows
    .map((row) =>
      row
        .map((cell, index) => pad(cell, widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - [...text].length))
