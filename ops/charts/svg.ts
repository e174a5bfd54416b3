/** Charts as SVG text, without scripts or external fonts; all text is escaped. */
import { escapeHtml } from "../../shared/domain/messaging/messages/clean.ts"

export const WIDTH = 420
export const HEIGHT = 300
export const MARGIN = { left: 66, right: 22, top: 14, bottom: 40 }
const INK = "#1f2937"
const FAINT = "#d1d5db"
const TICKS = 4

/** The values that an axis shows, and how they are written. */
export interface Axis {
  readonly from: number
  readonly to: number
  readonly title: string
  readonly text: (value: number) => string
}

/** A chart with axes; `draw` gets functions from values to coordinates. */
export function frame(
  title: string,
  x: Axis,
  y: Axis,
  draw: (x: (value: number) => number, y: (value: number) => number) => string,
): string {
  const place =
    ({ from, to }: Axis, low: number, high: number) =>
    (value: number) =>
      low + ((Math.min(to, Math.max(from, value)) - from) / (to - from || 1)) * (high - low)
  const [placeX, placeY] = [place(x, MARGIN.left, WIDTH - MARGIN.right), place(y, HEIGHT - MARGIN.bottom, MARGIN.top)]
  const ticks = (axis: Axis) =>
    Array.from({ length: TICKS + 1 }, (_, i) => axis.from + ((axis.to - axis.from) * i) / TICKS)
  const gridX = ticks(x).map((value) => {
    const at = placeX(value).toFixed(1)
    return `<line x1="${at}" x2="${at}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}" stroke="${FAINT}" stroke-width=".5"/>${label(at, HEIGHT - MARGIN.bottom + 14, x.text(value), "middle")}`
  })
  const gridY = ticks(y).map((value) => {
    const at = placeY(value)
    return `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}" stroke="${FAINT}" stroke-width=".5"/>${label(MARGIN.left - 5, (at + 3).toFixed(1), y.text(value), "end")}`
  })
  const middle = (MARGIN.top + HEIGHT - MARGIN.bottom) / 2
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}" style="background:#fff">
<title>${escapeHtml(title)}</title>
${gridX.join("\n")}
${gridY.join("\n")}
${draw(placeX, placeY)}
${label((MARGIN.left + WIDTH - MARGIN.right) / 2, HEIGHT - 6, x.title, "middle")}
<g transform="rotate(-90 12 ${middle})">${label(12, middle, y.title, "middle")}</g>
</svg>`
}

/** A text in a chart. */
export const label = (
  x: number | string,
  y: number | string,
  text: string,
  anchor: "start" | "middle" | "end",
): string =>
  `<text x="${x}" y="${y}" font-family="sans-serif" font-size="11" fill="${INK}" text-anchor="${anchor}">${escapeHtml(text)}</text>`

/** A line through points of a chart. */
export const line = (points: readonly (readonly [number, number])[], color: string, extra = ""): string =>
  `<polyline fill="none" stroke="${color}" stroke-width="1.8" ${extra} points="${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")}"/>`
