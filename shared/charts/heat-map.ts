import { html } from "hono/html"
import { type ChartText, chart, type Markup, place } from "./chart.ts"

/** A cell: a share from 0 to 1, null where there is none, and what is written in it. */
export interface HeatCell {
  readonly share: number | null
  readonly text: string
}

const WIDTH = 480
const ROW = 30
const LABELS = 48
const HEAD = 22
/** Classes of colour, `heat-0` to `heat-4`. */
const LEVELS = 5

/** Rows and columns of shares, the larger the stronger; the text in each cell says the same without colour. */
export function heatMap(
  text: ChartText,
  columns: readonly string[],
  rows: readonly { readonly label: string; readonly cells: readonly HeatCell[] }[],
): Markup {
  const width = (WIDTH - LABELS) / Math.max(1, columns.length)
  const middle = (column: number) => place(LABELS + (column + 0.5) * width)
  const drawing = [
    ...columns.map(
      (label, column) => html`<text x="${middle(column)}" y="${HEAD - 8}" text-anchor="middle">${label}</text>`,
    ),
    ...rows.flatMap(({ label, cells }, row) => {
      const y = HEAD + row * ROW
      return [
        html`<text class="strong" x="${LABELS - 8}" y="${y + 20}" text-anchor="end">${label}</text>`,
        ...cells.map(
          (
            cell,
            column,
          ) => html`<rect class="heat ${levelOf(cell.share)}" x="${place(LABELS + column * width + 1)}" y="${y + 1}" width="${place(width - 2)}" height="${ROW - 2}" rx="3"/>
<text class="in-heat ${levelOf(cell.share)}" x="${middle(column)}" y="${y + 20}" text-anchor="middle">${cell.text}</text>`,
        ),
      ]
    }),
  ]
  return chart(text, { width: WIDTH, height: HEAD + rows.length * ROW }, drawing, {
    head: ["", ...columns],
    rows: rows.map(({ label, cells }) => [label, ...cells.map((cell) => cell.text)]),
  })
}

const levelOf = (share: number | null): string =>
  share === null ? "heat-none" : `heat-${Math.min(LEVELS - 1, Math.floor(share * LEVELS))}`
