/** The charts of a model card: those of the dashboard, with a style of their own, because a card is a file. */
import type { Markup } from "../../../shared/charts/chart.ts"
import { lineChart } from "../../../shared/charts/line.ts"
import { signedBars } from "../../../shared/charts/signed-bars.ts"
import { betaQuantile } from "../../../shared/scoring/interval.ts"
import type { Artefact } from "../../../shared/scoring/model/artefact.ts"
import type { FeatureImportance, PartialDependence } from "./feature-effects.ts"

export type Bins = Artefact["confidence"]

/** Styles of the charts' classes. */
export const CHART_STYLE = `.chart{background:#fff;font:13px sans-serif}.chart text{fill:#4b5563}.chart .strong{fill:#1f2937}.chart .axis{stroke:#e5e7eb}
.chart .line{fill:none;stroke:#2563eb;stroke-width:2.5}.chart .reference{fill:none;stroke:#6b7280;stroke-dasharray:4 3}
.chart .band{fill:#2563eb;opacity:.16}.chart .bar{fill:#2563eb}.chart .bar.bad{fill:#b91c1c}`

/** The picture of a chart as a file of its own. */
export function asFile(chart: Markup): string {
  const [svg] = /<svg[\s\S]*<\/svg>/.exec(String(chart)) ?? []
  if (svg === undefined) throw new Error("a chart has a picture")
  return svg
    .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace("</desc>", `</desc>\n<style>${CHART_STYLE}</style>`)
}

const percent = (value: number): string => `${+(100 * value).toPrecision(2)} %`
const plain = (value: number): string => String(+value.toPrecision(3))

/** Predicted probability (the middle of each bin) against observed rate, with 90 % intervals. */
export function calibrationChart(bins: Bins): Markup {
  const points = bins.map(({ upTo, rows, events }, bin) => {
    const [low = 0, high = 1] = [0.05, 0.95].map((share) => betaQuantile(share, events + 0.5, rows - events + 0.5))
    return { at: ((bins[bin - 1]?.upTo ?? 0) + upTo) / 2, value: rows > 0 ? events / rows : 0, low, high }
  })
  const most = Math.max(0, ...points.map(({ at }) => at))
  return lineChart(
    {
      id: "calibration",
      title: "Calibration",
      description:
        "The observed rate by predicted probability, with 90 % intervals; the dashed line is a perfect model.",
    },
    points,
    { time: percent, value: percent, head: ["Predicted probability", "Observed rate"] },
    [
      { at: 0, value: 0 },
      { at: most, value: most },
    ],
  )
}

/** The share of churned customers found among a share of rows with the highest scores. */
export function cumulativeGain(bins: Bins): { readonly rows: number; readonly events: number }[] {
  const rows = bins.reduce((sum, bin) => sum + bin.rows, 0)
  const events = bins.reduce((sum, bin) => sum + bin.events, 0)
  let [seen, found] = [0, 0]
  const points = [{ rows: 0, events: 0 }]
  for (const bin of [...bins].reverse()) {
    seen += bin.rows
    found += bin.events
    points.push({ rows: seen / Math.max(1, rows), events: found / Math.max(1, events) })
  }
  return points
}

/** The share of churned customers found by contacting a share of all. */
export const gainChart = (bins: Bins): Markup =>
  lineChart(
    {
      id: "gain",
      title: "Gain",
      description: "Of those who left, the share among the highest scores; the dashed line is a choice at random.",
    },
    cumulativeGain(bins).map(({ rows, events }) => ({ at: rows, value: events })),
    { time: percent, value: percent, head: ["Share of all, highest scores first", "Share of those who left"] },
    [
      { at: 0, value: 0 },
      { at: 1, value: 1 },
    ],
  )

const BARS = 15

/** Features by how much they change scores. */
export const importanceChart = (importance: readonly FeatureImportance[]): Markup =>
  signedBars(
    { id: "importance", title: "Importance", description: "How much each feature spreads scores, in log-odds." },
    importance
      .slice(0, BARS)
      .filter(({ deviation }) => deviation > 0)
      .map(({ name, deviation }) => ({ label: name, value: deviation })),
    { head: ["Feature", "Spread"], value: plain },
  )

/** Log-odds as a function of one feature; `id` distinguishes it from those of other features. */
export function shapeChart({ name, points, missing }: PartialDependence, id: string): Markup {
  const text = {
    id,
    title: name,
    description: `Log-odds relative to the mean as ${name} changes; ${plain(missing)} where it is missing.`,
  }
  const numbers = points.flatMap(({ at, logOdds }) => (typeof at === "number" ? [{ at, value: logOdds }] : []))
  if (numbers.length === points.length) {
    return lineChart(text, numbers, { time: plain, value: plain, head: [name, "Log-odds"] })
  }
  const bars = points.map(({ at, logOdds }) => ({ label: String(at), value: logOdds }))
  return signedBars(text, bars, { head: [name, "Log-odds"], value: plain })
}
