import { max } from "d3-array"
import { html } from "hono/html"
import { type ChartText, chart, type Markup, place, scaleOf, shortened } from "./chart.ts"

/** One bar: the whole, and the part of it that is filled. */
export interface Bar {
  readonly label: string
  readonly whole: number
  readonly part: number
}

const WIDTH = 480
const ROW = 30
const LABELS = 185
const FIGURES = 70

/** Horizontal bars, each with a part of it filled: recovered of failed, for example. */
export function barChart(
  text: ChartText,
  bars: readonly Bar[],
  words: { readonly whole: string; readonly part: string; readonly number: (value: number) => string },
): Markup {
  const x = scaleOf([0, Math.max(1, max(bars, ({ whole }) => whole) ?? 1)], [0, WIDTH - LABELS - FIGURES])
  const drawing = bars.map(({ label, whole, part }, row) => {
    const y = row * ROW
    return html`<text class="strong" x="${LABELS - 10}" y="${y + 19}" text-anchor="end">${shortened(label)}</text>
<rect class="bar soft" x="${LABELS}" y="${y + 5}" width="${place(x(whole))}" height="${ROW - 10}" rx="3"/>
<rect class="bar good" x="${LABELS}" y="${y + 5}" width="${place(x(part))}" height="${ROW - 10}" rx="3"/>
<text x="${place(LABELS + x(whole) + 8)}" y="${y + 19}">${words.number(part)} / ${words.number(whole)}</text>`
  })
  return chart(text, { width: WIDTH, height: Math.max(1, bars.length) * ROW }, drawing, {
    head: ["", words.whole, words.part],
    rows: bars.map(({ label, whole, part }) => [label, words.number(whole), words.number(part)]),
  })
}
