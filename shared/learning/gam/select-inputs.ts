/** Selects the inputs that get a term, if there are more than a scorecard can have. */
import type { Matrix } from "../data/matrix.ts"

/** Equally filled bins of a number. */
const BINS = 10

/** Indices of the inputs most associated with the outcome, by chi-square over deciles or levels. */
export function strongestInputs(matrix: Matrix, outcomes: Uint8Array, most: number): ReadonlySet<number> {
  const inputs = matrix.features.map((_, input) => input)
  if (inputs.length <= most) return new Set(inputs)
  const rate = outcomes.reduce((sum, outcome) => sum + outcome, 0) / Math.max(1, matrix.rows)
  const strengths = inputs.map((input) => {
    const column = matrix.columns[input] ?? new Float64Array(0)
    const isNumber = matrix.features[input]?.type === "number"
    const sorted = isNumber ? column.filter(Number.isFinite).sort() : new Float64Array(0)
    const cuts = Array.from({ length: BINS - 1 }, (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / BINS)] ?? 0)
    const binOf = (value: number) => (isNumber ? cuts.filter((cut) => cut < value).length : value)
    const bins = new Map<number, { rows: number; events: number }>()
    column.forEach((value, row) => {
      const key = Number.isFinite(value) ? binOf(value) : -1
      const bin = bins.get(key) ?? { rows: 0, events: 0 }
      bin.rows += 1
      bin.events += outcomes[row] ?? 0
      bins.set(key, bin)
    })
    let chiSquare = 0
    for (const { rows, events } of bins.values()) chiSquare += (events - rows * rate) ** 2 / (rows * rate * (1 - rate))
    // Standardised: under independence the mean is the degrees of freedom, the variance twice that.
    const freedoms = Math.max(1, bins.size - 1)
    return (chiSquare - freedoms) / Math.sqrt(2 * freedoms)
  })
  const ranked = inputs.toSorted((a, b) => (strengths[b] ?? 0) - (strengths[a] ?? 0) || a - b)
  return new Set(ranked.slice(0, most))
}
