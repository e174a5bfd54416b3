/** The median of several measurements with the lowest and highest. */
export interface MedianSpread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Throws for an empty list, which has no median. */
export function medianSpread(values: readonly number[]): MedianSpread {
  return { median: percentile(values, 50), min: Math.min(...values), max: Math.max(...values) }
}

/** The smallest value that `percent` of all values do not exceed; the mean of the middle two for an even median. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number): number => {
    const value = sorted[index]
    if (value === undefined) throw new Error("nothing was measured")
    return value
  }
  const half = sorted.length / 2
  if (percent === 50 && Number.isInteger(half)) return (at(half - 1) + at(half)) / 2
  return at(Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1))
}
