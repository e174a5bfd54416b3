import { extent } from "d3-array"
import { html } from "hono/html"
import { type ChartText, chart, type Markup, place, scaleOf, shortened } from "./chart.ts"

export interface SignedBar {
  readonly label: string
  readonly value: number
}

const WIDTH = 480
const ROW = 26
const LABELS = 180
const FIGURES = 60

/** Horizontal bars of values on both sides of zero, or of values above it alone. */
export function signedBars(
  text: ChartText,
  bars: readonly SignedBar[],
  words: { readonly head: readonly [label: string, value: string]; readonly value: (value: number) => string },
): Markup {
  const [low = 0, high = 0] = extent(bars, ({ value }) => value)
  const range = [Math.min(0, low), Math.max(0, high)] as const
  // Room for the figures of bars on both sides.
  const left = LABELS + (low < 0 ? FIGURES : 0)
  const x = scaleOf(range[0] === range[1] ? [0, 1] : range, [left, WIDTH - FIGURES])
  const drawing = bars.map(({ label, value }, row) => {
    const y = row * ROW
    const [from, to] = [x(Math.min(0, value)), x(Math.max(0, value))]
    const figure = value < 0 ? { at: from - 6, anchor: "end" } : { at: to + 6, anchor: "start" }
    return html`<text class="strong" x="${LABELS - 10}" y="${y + 17}" text-anchor="end">${shortened(label)}</text>
<rect class="bar ${value < 0 ? "bad" : "plain"}" x="${place(from)}" y="${y + 4}" width="${place(Math.max(1, to - from))}" height="${ROW - 8}" rx="2"/>
<text x="${place(figure.at)}" y="${y + 17}" text-anchor="${figure.anchor}">${words.value(value)}</text>`
  })
  return chart(text, { width: WIDTH, height: Math.max(1, bars.length) * ROW }, drawing, {
    head: words.head,
    rows: bars.map(({ label, value }) => [label, words.value(value)]),
  })
}
