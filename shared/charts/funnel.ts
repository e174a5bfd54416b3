import { html } from "hono/html"
import { type ChartText, chart, type Markup, place, scaleOf } from "./chart.ts"

export interface FunnelStep {
  readonly label: string
  readonly count: number
}

const WIDTH = 480
const ROW = 46
const LABELS = 95
const FIGURES = 95

/** Steps of a journey, each as wide as the share of the first that reached it. */
export function funnelChart(
  text: ChartText,
  steps: readonly FunnelStep[],
  words: { readonly number: (value: number) => string; readonly percent: (share: number | null) => string },
): Markup {
  const all = steps[0]?.count ?? 0
  const width = scaleOf([0, Math.max(1, all)], [0, WIDTH - LABELS - FIGURES])
  const shareOf = (count: number) => (all === 0 ? null : count / all)
  const drawing = steps.map(({ label, count }, row) => {
    const y = row * ROW
    return html`<text class="strong" x="${LABELS - 12}" y="${y + 27}" text-anchor="end">${label}</text>
<rect class="bar" x="${LABELS}" y="${y + 6}" width="${place(Math.max(2, width(count)))}" height="${ROW - 14}" rx="4"/>
<text x="${place(LABELS + Math.max(2, width(count)) + 10)}" y="${y + 27}">${words.number(count)} · ${words.percent(shareOf(count))}</text>`
  })
  return chart(text, { width: WIDTH, height: steps.length * ROW }, drawing, {
    head: ["Step", "Cases", "Of the first"],
    rows: steps.map(({ label, count }) => [label, words.number(count), words.percent(shareOf(count))]),
  })
}
