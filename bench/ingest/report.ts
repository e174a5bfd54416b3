/** The tables and charts of the ingest benchmark: ratios first, made round by round. */

import type { Measurement } from "../load/measure.ts"
import { lineChart } from "../support/chart.ts"
import { type BenchmarkReport, type Chart, spreadOf, type Table, withRange } from "../support/report.ts"
import type { MedianSpread } from "../support/statistics.ts"
import { TARGET_NAMES, type TargetName } from "./scenarios.ts"
import {
  type BurstResult,
  type ClosedResult,
  type DelayedResult,
  isBeyond,
  type OpenResult,
  type Rounds,
  type StatisticsResult,
} from "./sections.ts"

/** What was measured; a section that was left out is empty. */
export interface IngestResults {
  readonly statistics: readonly StatisticsResult[]
  readonly closed: readonly ClosedResult[]
  readonly delayed: readonly DelayedResult[]
  readonly open: OpenResult | null
  readonly burst: readonly BurstResult[]
}

type Measure = Exclude<keyof Measurement, "events" | "deferred">

const OURS: TargetName = "churn-saver"
const OTHERS = TARGET_NAMES.filter((name) => name !== OURS)

const COLUMNS: readonly { readonly measure: Measure; readonly title: string; readonly digits: number }[] = [
  { measure: "acknowledgedPerSecond", title: "acknowledged/s", digits: 0 },
  { measure: "foldedPerSecond", title: "folded/s", digits: 0 },
  { measure: "p50Ms", title: "p50 ms", digits: 2 },
  { measure: "p99Ms", title: "p99 ms", digits: 1 },
  { measure: "serverCpuMs", title: "server CPU ms", digits: 3 },
  { measure: "postgresCpuMs", title: "Postgres CPU ms", digits: 3 },
  { measure: "proxyCpuMs", title: "proxy CPU ms", digits: 3 },
  { measure: "senderCpuMs", title: "sender CPU ms", digits: 3 },
  { measure: "postgresTrips", title: "Postgres trips", digits: 2 },
  { measure: "redisTrips", title: "Redis", digits: 3 },
  { measure: "qstashTrips", title: "QStash", digits: 3 },
]

/** The report of what was measured. `summary` says how. */
export function ingestReport(results: IngestResults, summary: string): BenchmarkReport {
  const { statistics, closed, delayed, open, burst } = results
  const tables: Table[] = [
    ...(closed.length > 0 ? [closedRatios(closed)] : []),
    ...(burst.length > 0 ? [burstTable(burst)] : []),
    ...(open === null ? [] : [openTable(open)]),
    ...(delayed.length > 0 ? [delayedRatios(delayed)] : []),
    ...(statistics.length > 0 ? [statisticsTable(statistics)] : []),
    ...closed.map(({ scenario, connections, rounds }) =>
      absolutes(`\`${scenario.name}\`, ${connections} connections: ${scenario.title}.`, rounds),
    ),
    ...delayed.map(({ roundTripMs, connections, rounds }) =>
      absolutes(`\`known\`, ${connections} connections, ${roundTripMs} ms to Postgres.`, rounds),
    ),
  ]
  return {
    name: "ingest",
    at: new Date(),
    summary,
    tables,
    charts: open === null ? [] : [openChart(open)],
    data: results,
  }
}

const RATIOS: readonly { readonly title: string; readonly measure: Measure; readonly other: TargetName }[] = [
  ...OTHERS.map((other) => ({ title: `folded/s ÷ ${other}`, measure: "foldedPerSecond" as const, other })),
  { title: "acknowledged/s ÷ bare", measure: "acknowledgedPerSecond", other: "bare" },
  { title: "p50 ÷ bare", measure: "p50Ms", other: "bare" },
  { title: "server CPU ÷ bare", measure: "serverCpuMs", other: "bare" },
  { title: "Postgres CPU ÷ bare", measure: "postgresCpuMs", other: "bare" },
]

const ratioHeader = ["", ...RATIOS.map(({ title }) => title)]
const ratioRow = (title: string, rounds: Rounds): string[] => [
  title,
  ...RATIOS.map(({ measure, other }) => withRange(ratioOf(rounds, other, measure), 2)),
]

function closedRatios(results: readonly ClosedResult[]): Table {
  const rows = results.map(({ scenario, connections, rounds }) =>
    ratioRow(`\`${scenario.name}\`, ${connections}`, rounds),
  )
  const note = "Ours ÷ theirs, by scenario and number of connections. Of rates, more is better; of the others, less."
  return { title: "Ratios.", note, rows: [ratioHeader, ...rows] }
}

function delayedRatios(results: readonly DelayedResult[]): Table {
  const rows = results.map(({ roundTripMs, connections, rounds }) =>
    ratioRow(`${roundTripMs} ms, ${connections}`, rounds),
  )
  const note = "Ours ÷ theirs for `known`, by round trip to Postgres and number of connections."
  return { title: "With a network before Postgres.", note, rows: [ratioHeader, ...rows] }
}

function burstTable(results: readonly BurstResult[]): Table {
  const header = [
    "",
    "target",
    "all acknowledged, s",
    "all folded, s",
    "answered 503",
    "QStash messages",
    "acknowledged/s ÷ bare",
    "folded/s ÷ bare",
  ]
  const rows = results.flatMap(({ scenario, rounds }) =>
    TARGET_NAMES.map((name) => {
      const seconds = (of: "acknowledgedMs" | "foldedMs") => spreadOf(rounds[name].map((round) => round[of] / 1_000))
      const ratio = (of: Measure) => (name === OURS ? withRange(ratioOf(rounds, "bare", of), 2) : "")
      const absolute = [seconds("acknowledgedMs"), seconds("foldedMs")].map((spread) => withRange(spread, 2))
      const counted = [
        spreadOf(rounds[name].map(({ deferred }) => deferred)),
        spreadOf(rounds[name].map(({ events, qstashTrips }) => events * qstashTrips)),
      ].map((spread) => withRange(spread, 0))
      const ratios = [ratio("acknowledgedPerSecond"), ratio("foldedPerSecond")]
      return [`\`${scenario.name}\``, name, ...absolute, ...counted, ...ratios]
    }),
  )
  const [first] = results[0]?.rounds.bare ?? []
  const note =
    "A delivery that Postgres did not take in time is answered 503, or waits as a message of QStash; it is repeated later."
  return { title: `A burst of ${(first?.events ?? 0) + (first?.deferred ?? 0)}.`, note, rows: [header, ...rows] }
}

function openTable(open: OpenResult): Table {
  const header = [
    "target",
    "highest rate kept up with, events/s",
    "p50 ms there",
    "p99 ms there",
    "first rate fallen behind",
  ]
  const rows = TARGET_NAMES.map((name) => {
    const kept = open[name].findLast((step) => !isBeyond(step))
    const beyond = open[name].find(isBeyond)
    return [
      name,
      String(kept?.perSecond ?? "none"),
      kept?.p50Ms.toFixed(2) ?? "",
      kept?.p99Ms.toFixed(1) ?? "",
      String(beyond?.perSecond ?? "none"),
    ]
  })
  const note = "`known`, arriving at a rate that rises step by step; latency counts from when a request was due."
  return { title: "Open loop.", note, rows: [header, ...rows] }
}

function openChart(open: OpenResult): Chart {
  const series = TARGET_NAMES.map((name) => ({
    name,
    points: open[name].map(({ perSecond, p99Ms }) => [perSecond, p99Ms] as const),
  })).filter(({ points }) => points.length > 0)
  const title = "p99 latency by arrival rate"
  const x = { title: "events due a second", isLog: true }
  return { name: "open-loop", title, svg: lineChart(title, x, { title: "p99 ms", isLog: true }, series) }
}

function statisticsTable(results: readonly StatisticsResult[]): Table {
  const header = ["", "Postgres CPU ms an event, fresh", "analysed", "fresh ÷ analysed"]
  const of = (tables: StatisticsResult["tables"], name: TargetName) =>
    spreadOf(
      results.find((result) => result.tables === tables)?.rounds[name].map(({ postgresCpuMs }) => postgresCpuMs) ?? [],
    )
  const rows = TARGET_NAMES.map((name) => {
    const [fresh, analysed] = [of("fresh", name), of("analysed", name)]
    const ratio = fresh && analysed ? (fresh.median / analysed.median).toFixed(2) : "n/a"
    return [name, withRange(fresh, 3), withRange(analysed, 3), ratio]
  })
  const note = "`known` on tables without statistics, and after ANALYZE."
  return { title: "Statistics of tables.", note, rows: [header, ...rows] }
}

function absolutes(title: string, rounds: Rounds): Table {
  const header = ["", ...COLUMNS.map((column) => column.title)]
  const rows = TARGET_NAMES.filter((name) => rounds[name].length > 0).map((name) => [
    name,
    ...COLUMNS.map(({ measure, digits }) => withRange(spreadOf(rounds[name].map((round) => round[measure])), digits)),
  ])
  return { title, rows: [header, ...rows] }
}

function ratioOf(rounds: Rounds, other: TargetName, measure: Measure): MedianSpread | null {
  return spreadOf(
    rounds[OURS].map((ours, round) => {
      const [a, b] = [ours[measure], rounds[other][round]?.[measure]]
      return a === null || !b ? null : a / b
    }),
  )
}
