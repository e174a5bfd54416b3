import { describe, expect, test } from "vitest"
import { someFeatures } from "../../../test/support/models/models.ts"
import { Random } from "../../learning/random.ts"
import type { GamTerm } from "./artefact.ts"
import { prepareScorecard, rawScorecardScore, rawScorecardScores } from "./scorecard.ts"

const features = someFeatures(2, 2)

/** The value of a single term for values of the features. */
function at(term: GamTerm, ...row: number[]): number {
  const scorecard = prepareScorecard({ kind: "gam", intercept: 0, terms: [term], means: [0] }, features)
  const one = rawScorecardScore(scorecard, Float64Array.from(row))
  const [many] = rawScorecardScores(
    scorecard,
    row.map((value) => Float64Array.of(value)),
    1,
  )
  expect(many).toBe(one)
  return one
}

/** Linear interpolation between knots by linear search. */
function interpolate(knots: readonly number[], values: readonly number[], value: number): number {
  const upper = knots.findIndex((knot) => knot >= value)
  if (upper === 0) return values[0] ?? 0
  if (upper < 0) return values.at(-1) ?? 0
  const [from, to] = [knots[upper - 1] ?? 0, knots[upper] ?? 0]
  const [low, high] = [values[upper - 1] ?? 0, values[upper] ?? 0]
  return low + ((value - from) / (to - from)) * (high - low)
}

describe("a line", () => {
  const random = new Random(1)
  const lists: readonly number[][] = [
    [0],
    [0, 1],
    [-3, -1, 0, 0.5, 9],
    // Nearly all knots close together, and neighbours without a double between them.
    [0, 1e-12, 2e-12, 1, 1 + Number.EPSILON, 1e9],
    Array.from({ length: 300 }, () => random.gaussian()).sort((a, b) => a - b),
  ]
  test.each(lists)("is linear between its knots and constant beyond (%f, …)", (...knots) => {
    const values = knots.map((_, place) => (place % 7) - 3)
    const inputs = [...knots, ...knots.flatMap((knot) => [knot + 0.01, knot - 1e-9, knot * (1 + 1e-15)]), -1e300, 1e300]
    for (const value of inputs) {
      const term: GamTerm = { shape: "line", input: 0, knots, values, missing: 5 }
      // Between such neighbours the slope is too steep to compare, so only the range is checked.
      const isSteep = Math.abs(value - 1) < 1e-14
      if (!isSteep) expect(Math.abs(at(term, value, 0, 0, 0) - interpolate(knots, values, value))).toBeLessThan(1e-3)
      else expect(Math.abs(at(term, value, 0, 0, 0))).toBeLessThanOrEqual(3)
    }
  })

  test("has a separate value for missing and infinite inputs", () => {
    const term: GamTerm = { shape: "line", input: 0, knots: [0, 1], values: [0, 1], missing: 5 }
    expect(
      [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((one) => at(term, one, 0, 0, 0)),
    ).toEqual([5, 5, 5])
  })
})

test("levels have their values, everything else has the value for missing", () => {
  const term: GamTerm = { shape: "levels", input: 2, values: [1, 2, 3, 4, 5], missing: 9 }
  const values = [0, 4, 5, -1, 1.5, Number.NaN, 2 ** 32].map((level) => at(term, 0, 0, level, 0))
  expect(values).toEqual([1, 5, 9, 9, 9, 9, 9])
})

test("a grid has a value for each pair of cells, and a cut belongs to the cell on its left", () => {
  const values = Array.from({ length: 4 * 6 }, (_, place) => place)
  const term: GamTerm = { shape: "grid", inputs: [0, 2], cuts: [[0, 10], []], values }
  expect(at(term, -5, 0, 0, 0)).toBe(0)
  expect(at(term, 0, 0, 4, 0)).toBe(4)
  expect(at(term, 0.1, 0, 0, 0)).toBe(6)
  expect(at(term, 11, 0, 1, 0)).toBe(13)
  expect(at(term, Number.NaN, 0, 1, 0)).toBe(19)
  expect(at(term, 11, 0, Number.NaN, 0)).toBe(17)
  expect(at(term, Number.NaN, 0, 7, 0)).toBe(23)
})
