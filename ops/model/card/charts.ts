/** The charts of a model card. */
import type { Artefact } from "../../../shared/scoring/artefact.ts"
import { betaQuantile } from "../../../shared/scoring/interval.ts"
import { type Axis, FAINT, frame, HEIGHT, LINE, label, line, MARGIN, WIDTH } from "../../charts/svg.ts"
import type { FeatureImportance, PartialDependence } from "./feature-effects.ts"

export type Bins = Artefact["confidence"]

const percent = (value: number): string => `${+(100 * value).toPrecision(2)} %`
const plain = (value: number): string => String(+value.toPrecision(3))

/** Predicted probability (the range of each bin) against observed rate, with 90 % intervals. */
export function calibrationChart(bins: Bins): string {
  const rates = bins.map(({ rows, events }) => {
    const [low = 0, high = 1] = [0.05, 0.95].map((share) => betaQuantile(share, events + 0.5, rows - events + 0.5))
    return { rate: rows > 0 ? events / rows : 0, low, high }
  })
  const most = Math.min(1, 1.1 * Math.max(0.05, ...rates.map(({ high }) => high)))
  const axis = (title: string): Axis => ({ from: 0, to: most, title, text: percent })
  return frame("Calibration", axis("predicted probability"), axis("observed rate"), (x, y) => {
    const ideal = line(
      [
        [x(0), y(0)],
        [x(most), y(most)],
      ],
      FAINT,
      'stroke-dasharray="4 3"',
    )
    const marks = bins.map(({ upTo }, i) => {
      const { rate, low, high } = rates[i] ?? { rate: 0, low: 0, high: 0 }
      const [from, to] = [x(bins[i - 1]?.upTo ?? 0), x(upTo)]
      const middle = (from + to) / 2
      return (
        line(
          [
            [from, y(rate)],
            [to, y(rate)],
          ],
          LINE,
        ) +
        line(
          [
            [middle, y(low)],
            [middle, y(high)],
          ],
          LINE,
          'stroke-opacity=".45"',
        )
      )
    })
    return [ideal, ...marks].join("\n")
  })
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
export function gainChart(bins: Bins): string {
  const axis = (title: string): Axis => ({ from: 0, to: 1, title, text: percent })
  return frame("Gain", axis("share of all, highest scores first"), axis("share of those who left"), (x, y) =>
    [
      line(
        [
          [x(0), y(0)],
          [x(1), y(1)],
        ],
        FAINT,
        'stroke-dasharray="4 3"',
      ),
      line(
        cumulativeGain(bins).map(({ rows, events }) => [x(rows), y(events)]),
        LINE,
      ),
    ].join("\n"),
  )
}

const BARS = 15
const BAR_HEIGHT = 18

/** Features by how much they change scores. */
export function importanceChart(importance: readonly FeatureImportance[]): string {
  const shown = importance.slice(0, BARS).filter(({ deviation }) => deviation > 0)
  const most = Math.max(1e-9, ...shown.map(({ deviation }) => deviation))
  const [names, height] = [170, shown.length * BAR_HEIGHT + 10]
  const bars = shown.map(({ name, deviation }, i) => {
    const y = 5 + i * BAR_HEIGHT
    const width = (deviation / most) * (WIDTH - names - 50)
    const short = name.length > 26 ? `${name.slice(0, 25)}…` : name
    return `${label(names - 6, y + 12, short, "end")}<rect x="${names}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 5}" fill="${LINE}"/>${label((names + width + 4).toFixed(1), y + 11, plain(deviation), "start")}`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Importance"><title>Importance</title>\n${bars.join("\n")}\n</svg>`
}

/** Log-odds as a function of one feature. */
export function shapeChart({ name, points, missing }: PartialDependence): string {
  const values = points.map(({ logOdds }) => logOdds)
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)]
  const margin = Math.max(0.05, (high - low) * 0.08)
  const y: Axis = { from: low - margin, to: high + margin, title: "log-odds", text: plain }
  const first = points[0]?.at
  if (typeof first === "number") {
    const x: Axis = {
      from: first,
      to: Number(points.at(-1)?.at ?? 1),
      title: `${name} (missing: ${plain(missing)})`,
      text: plain,
    }
    return frame(name, x, y, (px, py) => {
      return (
        line(
          [
            [px(x.from), py(0)],
            [px(x.to), py(0)],
          ],
          FAINT,
        ) +
        line(
          points.map(({ at, logOdds }) => [px(Number(at)), py(logOdds)]),
          LINE,
        )
      )
    })
  }
  const x: Axis = { from: 0, to: points.length, title: `${name} (missing: ${plain(missing)})`, text: () => "" }
  return frame(name, x, y, (px, py) => {
    const bars = points.map(({ at, logOdds }, i) => {
      const [from, to] = [py(Math.max(0, logOdds)), py(Math.min(0, logOdds))]
      const text = String(at).length > 14 ? `${String(at).slice(0, 13)}…` : String(at)
      const middle = px(i + 0.5)
      const bar = `<rect x="${px(i + 0.15).toFixed(1)}" y="${from.toFixed(1)}" width="${(px(0.7) - px(0)).toFixed(1)}" height="${Math.max(1, to - from).toFixed(1)}" fill="${LINE}" fill-opacity=".55"/>`
      return `${bar}<g transform="rotate(-60 ${middle.toFixed(1)} ${HEIGHT - MARGIN.bottom - 4})">${label(middle.toFixed(1), HEIGHT - MARGIN.bottom - 4, text, "start")}</g>`
    })
    return bars.join("\n")
  })
}
