/**
 * The frame of every chart: an SVG with a title and a description for screen readers, colours by class (so that a content
 * security policy without inline styles holds), and the same figures as a table.
 */
import { html } from "hono/html"

export type Markup = ReturnType<typeof html>

/** What every chart says about itself. */
export interface ChartText {
  /** Unique on the page; lower-case letters, digits and dashes. */
  readonly id: string
  readonly title: string
  /** One sentence that says what the picture shows. */
  readonly description: string
}

/** The figures of a chart as a table. */
export interface ChartTable {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** A chart with its table folded away below it. */
export const chart = (
  { id, title, description }: ChartText,
  size: { readonly width: number; readonly height: number },
  drawing: Markup | readonly Markup[],
  { head, rows }: ChartTable,
): Markup => html`<figure class="chart-figure">
<svg class="chart" viewBox="0 0 ${size.width} ${size.height}" role="img" aria-labelledby="${id}-title ${id}-description">
<title id="${id}-title">${title}</title>
<desc id="${id}-description">${description}</desc>
${drawing}
</svg>
<details><summary>${title} as a table</summary>
<table><thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((text) => html`<td>${text}</td>`)}</tr>`)}</tbody></table>
</details>
</figure>`

/** A linear scale from values to coordinates; a range of one value is drawn in the middle. */
export function scaleOf(
  [from, to]: readonly [number, number],
  [low, high]: readonly [number, number],
): (value: number) => number {
  if (from === to) return () => (low + high) / 2
  return (value) => low + ((value - from) / (to - from)) * (high - low)
}

/** A coordinate with one decimal: more is not seen, and makes pages long. */
export const place = (value: number): string => value.toFixed(1)

const LABEL_CHARS = 22

/** A label that fits beside a bar. */
export const shortened = (label: string): string =>
  label.length <= LABEL_CHARS ? label : `${label.slice(0, LABEL_CHARS - 1)}…`
