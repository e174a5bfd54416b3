/** The charts of benchmarks: lines over linear or logarithmic axes, and bars. */
import { type Axis, frame, HEIGHT, label, line, MARGIN, WIDTH } from "../../ops/charts/svg.ts"

/** Values of one line, in order of x. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** One axis: its title, and whether equal distances are equal ratios. */
export interface Scale {
  readonly title: string
  readonly isLog?: boolean
}

const COLORS = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569"]
const LEGEND_LINE_HEIGHT = 14

/** Lines over common axes; a linear axis starts at 0. */
export function lineChart(title: string, x: Scale, y: Scale, series: readonly Series[]): string {
  const points = series.flatMap((one) => one.points)
  const xAxis = axisOf(
    x,
    points.map(([value]) => value),
  )
  const yAxis = axisOf(
    y,
    points.map(([, value]) => value),
  )
  return frame(title, xAxis, yAxis, (placeX, placeY) =>
    series
      .map(({ name, points: own }, index) => {
        const color = COLORS[index % COLORS.length] ?? ""
        const placed = own.map(([a, b]) => [placeX(onScale(x, a)), placeY(onScale(y, b))] as const)
        const dots = placed.map(
          ([a, b]) => `<circle cx="${a.toFixed(1)}" cy="${b.toFixed(1)}" r="2.2" fill="${color}"/>`,
        )
        const top = MARGIN.top + 10 + index * LEGEND_LINE_HEIGHT
        const key = `<rect x="${MARGIN.left + 8}" y="${top - 7}" width="10" height="3" fill="${color}"/>`
        return [line(placed, color), ...dots, key, label(MARGIN.left + 23, top - 2, name, "start")].join("")
      })
      .join("\n"),
  )
}

const BAR_HEIGHT = 18
const NAMES_WIDTH = 170

/** One bar a value, in the given order. */
export function barChart(
  title: string,
  unit: string,
  bars: readonly { readonly name: string; readonly value: number }[],
): string {
  const most = Math.max(1e-9, ...bars.map(({ value }) => value))
  const height = Math.min(HEIGHT * 4, bars.length * BAR_HEIGHT + 10)
  const drawn = bars.map(({ name, value }, index) => {
    const top = 5 + index * BAR_HEIGHT
    const width = (value / most) * (WIDTH - NAMES_WIDTH - 80)
    const bar = `<rect x="${NAMES_WIDTH}" y="${top}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 5}" fill="${COLORS[0]}"/>`
    const text = label((NAMES_WIDTH + width + 4).toFixed(1), top + 11, `${short(value)} ${unit}`, "start")
    return label(NAMES_WIDTH - 6, top + 11, name, "end") + bar + text
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}" style="background:#fff"><title>${title}</title>\n${drawn.join("\n")}\n</svg>`
}

const onScale = ({ isLog }: Scale, value: number): number => (isLog ? Math.log10(Math.max(value, 1e-9)) : value)

function axisOf(scale: Scale, values: readonly number[]): Axis {
  const placed = values.map((value) => onScale(scale, value))
  const text = (value: number): string => short(scale.isLog ? 10 ** value : value)
  const [low, high] = [Math.min(...placed), Math.max(...placed)]
  return { from: scale.isLog ? low : 0, to: scale.isLog ? high : high * 1.05 || 1, title: scale.title, text }
}

/** Three digits, with k and M. */
function short(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`
  if (value >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`
  return String(+value.toPrecision(3))
}
