import { html } from "hono/html"
import { type ChartText, chart, type Markup, place, scaleOf, shortened } from "./chart.ts"

/** A part of the whole that goes off in this step; the last one is what is left. */
export interface WaterfallStep {
  readonly label: string
  readonly amount: number
  readonly tone: "good" | "bad" | "plain"
}

const WIDTH = 480
const ROW = 30
const LABELS = 185
const FIGURES = 110

/** A whole and what becomes of it, each part beginning where the last one ended. Amounts below zero count as zero. */
export function waterfallChart(
  text: ChartText,
  whole: { readonly label: string; readonly amount: number },
  steps: readonly WaterfallStep[],
  words: { readonly amount: (value: number) => string; readonly share: (share: number | null) => string },
): Markup {
  const x = scaleOf([0, Math.max(1, whole.amount)], [0, WIDTH - LABELS - FIGURES])
  let left = whole.amount
  const bars = [
    { ...whole, from: 0, tone: "soft" },
    ...steps.map(({ label, amount, tone }) => {
      left -= Math.max(0, amount)
      return { label, amount, from: Math.max(0, left), tone }
    }),
  ]
  const drawing = bars.map(({ label, amount, from, tone }, row) => {
    const y = row * ROW
    const width = Math.max(1, x(Math.max(0, amount)))
    return html`<text class="strong" x="${LABELS - 10}" y="${y + 19}" text-anchor="end">${shortened(label)}</text>
<rect class="bar ${tone}" x="${place(LABELS + x(from))}" y="${y + 5}" width="${place(width)}" height="${ROW - 10}" rx="3"/>
<text x="${place(LABELS + x(from) + width + 8)}" y="${y + 19}">${words.amount(amount)}</text>`
  })
  const shareOf = (amount: number) => (whole.amount === 0 ? null : amount / whole.amount)
  return chart(text, { width: WIDTH, height: bars.length * ROW }, drawing, {
    head: ["", "Amount", "Of the whole"],
    rows: bars.map(({ label, amount }) => [label, words.amount(amount), words.share(shareOf(amount))]),
  })
}
