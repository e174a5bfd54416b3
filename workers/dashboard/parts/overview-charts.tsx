/** What became of the amounts at stake, and when failed payments come back. */
import type { FC } from "hono/jsx"
import { type HeatCell, heatMap } from "../../../shared/charts/heat-map.ts"
import { type WaterfallStep, waterfallChart } from "../../../shared/charts/waterfall.ts"
import type { AnswerOf } from "../../reference/answers/all.ts"
import { money, number, offsetHours, percent, type Viewer } from "../viewer.ts"
import { inWords, KIND_NAMES } from "./cases.tsx"
import { Panel } from "./parts.tsx"

type Figures = AnswerOf<"GET /api/overview">
type Outcome = Figures["outcomes"][number]

/** Reasons with a step of their own; the rest are one step. */
const REASONS = 4

/** For each currency: the amounts of the cases, what came back by reason, what was lost, and what is open. */
export const AmountCharts: FC<{ readonly viewer: Viewer; readonly outcomes: readonly Outcome[] }> = ({
  viewer,
  outcomes,
}) => (
  <>
    {[...Map.groupBy(outcomes, ({ currency }) => currency)].map(([currency, rows]) => {
      const words = {
        amount: (value: number) => money(viewer, value, currency),
        share: (share: number | null) => percent(viewer, share),
      }
      const whole = { label: "At stake", amount: total(rows, "amountMinor") }
      const text = {
        id: `amounts-${currency}`,
        title: `Amounts, ${currency.toUpperCase()}`,
        description: `Of ${words.amount(whole.amount)}, ${words.amount(total(rows, "recoveredMinor"))} came back, ${words.amount(total(rows, "lostMinor"))} is lost and ${words.amount(total(rows, "openMinor"))} is open.`,
      }
      return (
        <Panel
          title={`What became of the amounts in ${currency.toUpperCase()}`}
          note="What came back, by reason; what was lost; and what is open."
        >
          {waterfallChart(text, whole, stepsOf(rows), words)}
        </Panel>
      )
    })}
  </>
)

const total = (rows: readonly Outcome[], field: "amountMinor" | "recoveredMinor" | "lostMinor" | "openMinor") =>
  rows.reduce((sum, row) => sum + row[field], 0)

function stepsOf(rows: readonly Outcome[]): readonly WaterfallStep[] {
  const recovered = rows
    .filter(({ recoveredMinor }) => recoveredMinor > 0)
    .sort((a, b) => b.recoveredMinor - a.recoveredMinor)
  const others = total(recovered.slice(REASONS), "recoveredMinor")
  const good = (label: string, amount: number): WaterfallStep => ({ label, amount, tone: "good" })
  return [
    ...recovered
      .slice(0, REASONS)
      .map(({ kind, reason, recoveredMinor }) =>
        good(reason === null ? KIND_NAMES[kind] : inWords(reason), recoveredMinor),
      ),
    ...(others > 0 ? [good("other reasons", others)] : []),
    { label: "Lost", amount: total(rows, "lostMinor"), tone: "bad" },
    { label: "Still open", amount: total(rows, "openMinor"), tone: "plain" },
  ]
}

/** Hours in one column: single hours have too few cases to compare. */
const HOURS = 3
const DAY_HOURS = 24
const WEEK_HOURS = 7 * DAY_HOURS

/** The share of failed payments that came back, by the weekday and the time of day at which they failed. */
export const FailureTimes: FC<{
  readonly viewer: Viewer
  readonly now: Date
  readonly times: Figures["failureTimes"]
}> = ({ viewer, now, times }) => {
  const offset = offsetHours(viewer, now)
  const cells = Map.groupBy(times, ({ weekday, hour }) => {
    const local = ((weekday - 1) * DAY_HOURS + hour + offset + WEEK_HOURS) % WEEK_HOURS
    return Math.floor(local / HOURS)
  })
  const columns = Array.from({ length: DAY_HOURS / HOURS }, (_, column) => `${column * HOURS}–${(column + 1) * HOURS}`)
  const rows = Array.from({ length: 7 }, (_, day) => ({
    label: weekdayName(viewer, day),
    cells: columns.map((_, column) => cellOf(viewer, cells.get(day * columns.length + column) ?? [])),
  }))
  return (
    <Panel
      title="When failed payments come back"
      note={`The share that recovered, of those that ended, by when they failed (${viewer.timeZone}).`}
    >
      {heatMap(
        {
          id: "failure-times",
          title: "Recovery by time of failure",
          description: "For each weekday and three hours of the day: recovered cases of those that ended.",
        },
        columns,
        rows,
      )}
    </Panel>
  )
}

function cellOf(viewer: Viewer, times: Figures["failureTimes"]): HeatCell {
  const recovered = times.reduce((sum, one) => sum + one.recovered, 0)
  const ended = times.reduce((sum, one) => sum + one.ended, 0)
  if (ended === 0) return { share: null, text: "–" }
  return { share: recovered / ended, text: `${number(viewer, recovered)}/${number(viewer, ended)}` }
}

/** The first of January 2024 was a Monday. */
const MONDAY = Date.UTC(2024, 0, 1)

const weekdayName = (viewer: Viewer, day: number): string =>
  new Intl.DateTimeFormat(viewer.locale, { weekday: "short", timeZone: "UTC" }).format(MONDAY + day * 86_400_000)
