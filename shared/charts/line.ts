import { extent, max, min, ticks } from "d3-array"
import { area, curveMonotoneX, line } from "d3-shape"
import { html } from "hono/html"
import { type ChartText, chart, type Markup, place, scaleOf } from "./chart.ts"

/** A value at a position, with the range in which it may lie. */
export interface LinePoint {
  /** Position on the axis, such as milliseconds since 1970. */
  readonly at: number
  readonly value: number
  readonly low?: number
  readonly high?: number
}

const WIDTH = 480
const HEIGHT = 200
const MARGIN = { left: 92, right: 12, top: 12, bottom: 28 }
const TICKS = 4

interface LineWords {
  readonly time: (at: number) => string
  readonly value: (value: number) => string
  /** Of the table's columns. */
  readonly head?: readonly [at: string, value: string]
}

/**
 * A line, over time for example, with a band where points have a range. Fewer than two points give the table alone. `reference`
 * is a second line to compare with.
 */
export function lineChart(
  text: ChartText,
  points: readonly LinePoint[],
  words: LineWords,
  reference: readonly LinePoint[] = [],
): Markup {
  const all = [...points, ...reference]
  const [first = 0, last = 0] = extent(all, ({ at }) => at)
  const top = max(all, ({ value, high }) => Math.max(value, high ?? value)) ?? 0
  const bottom = Math.min(0, min(all, ({ value, low }) => Math.min(value, low ?? value)) ?? 0)
  const x = scaleOf([first, last], [MARGIN.left, WIDTH - MARGIN.right])
  const margin = (top - bottom) * 0.05
  const range = top === bottom ? ([0, 1] as const) : ([bottom < 0 ? bottom - margin : 0, top + margin] as const)
  const y = scaleOf(range, [HEIGHT - MARGIN.bottom, MARGIN.top])
  const band = area<LinePoint>(
    ({ at }) => x(at),
    ({ low, value }) => y(low ?? value),
    ({ high, value }) => y(high ?? value),
  ).curve(curveMonotoneX)
  const curve = line<LinePoint>(
    ({ at }) => x(at),
    ({ value }) => y(value),
  ).curve(curveMonotoneX)
  const hasBand = points.some(({ low, high }) => low !== undefined && high !== undefined)
  const drawing = html`${ticks(bottom, top, TICKS).map(
    (
      value,
    ) => html`<line class="axis" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${place(y(value))}" y2="${place(y(value))}"/>
<text x="${MARGIN.left - 8}" y="${place(y(value) + 4)}" text-anchor="end">${words.value(value)}</text>`,
  )}
${hasBand ? html`<path class="band" d="${band([...points]) ?? ""}"/>` : ""}
${reference.length > 0 ? html`<path class="reference" d="${curve([...reference]) ?? ""}"/>` : ""}
<path class="line" d="${curve([...points]) ?? ""}"/>
<text x="${MARGIN.left}" y="${HEIGHT - 8}">${words.time(first)}</text>
<text x="${WIDTH - MARGIN.right}" y="${HEIGHT - 8}" text-anchor="end">${words.time(last)}</text>`
  return chart(text, { width: WIDTH, height: HEIGHT }, points.length < 2 ? html`` : drawing, {
    head: [...(words.head ?? ["When", "Value"]), ...(hasBand ? ["From", "To"] : [])],
    rows: points.map(({ at, value, low, high }) => [
      words.time(at),
      words.value(value),
      ...(hasBand ? [words.value(low ?? value), words.value(high ?? value)] : []),
    ]),
  })
}
