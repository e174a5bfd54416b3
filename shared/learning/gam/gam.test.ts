import { describe, expect, test } from "vitest"
import { probabilityOf } from "../../scoring/model/calibrate.ts"
import { rawScoresOfPart } from "../../scoring/model/model.ts"
import { type Matrix, selectRows } from "../data/matrix.ts"
import { Random } from "../random.ts"
import { factor, inverseBlock, invertLower, solve } from "./cholesky.ts"
import { strongestInputs } from "./select-inputs.ts"
import { trainGam } from "./train.ts"

/** Rows with a number of curved effect, one of linear effect, noise, a category, and a partly missing number. */
function sampleRows(rows: number, seed: number) {
  const random = new Random(seed)
  const columns = Array.from({ length: 5 }, () => new Float64Array(rows))
  const [curved, straight, noise, plan, partly] = columns
  const outcomes = new Uint8Array(rows)
  const truth = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    const [x, z, n, level] = [4 * random.next(), random.gaussian(), random.gaussian(), random.int(3)]
    const isMissing = random.next() < 0.2
    if (curved) curved[row] = x
    if (straight) straight[row] = z
    if (noise) noise[row] = n
    if (plan) plan[row] = level
    if (partly) partly[row] = isMissing ? Number.NaN : random.gaussian()
    truth[row] = -1 + 1.5 * Math.sin(1.6 * x) + 0.8 * z + (level === 2 ? 1 : 0) + (isMissing ? 1.2 : 0)
    outcomes[row] = Number(random.next() < probabilityOf(truth[row] ?? 0))
  }
  const matrix: Matrix = {
    features: [
      { name: "curved", type: "number" },
      { name: "straight", type: "number" },
      { name: "noise", type: "number" },
      { name: "plan", type: "category", levels: ["a", "b", "c"] },
      { name: "partly", type: "number" },
    ],
    columns,
    rows,
  }
  return { matrix, outcomes, truth }
}

const range = (values: readonly number[]) => Math.max(...values) - Math.min(...values)

describe("a scorecard", () => {
  const { matrix, outcomes, truth } = sampleRows(4_000, 1)
  const { model } = trainGam(matrix, outcomes)
  const [curved, straight, noise, plan, partly] = model.terms

  test("recovers the true log-odds", () => {
    const raw = rawScoresOfPart(matrix.features, model, matrix.columns, matrix.rows)
    const error = raw.reduce((sum, value, row) => sum + (value - (truth[row] ?? 0)) ** 2, 0) / matrix.rows
    const variance = truth.reduce((sum, value) => sum + (value + 0.5) ** 2, 0) / matrix.rows
    expect(error).toBeLessThan(0.03 * variance)
  })

  test("fits curved, linear and absent effects", () => {
    if (curved?.shape !== "line" || straight?.shape !== "line" || noise?.shape !== "line") throw new Error("no lines")
    const peak = curved.knots[curved.values.indexOf(Math.max(...curved.values))] ?? 0
    expect(Math.abs(peak - 0.98)).toBeLessThan(0.4)
    expect(range(straight.values)).toBeGreaterThan(3)
    expect(range(noise.values)).toBeLessThan(0.35)
  })

  test("has separate values for levels and missing", () => {
    if (plan?.shape !== "levels" || partly?.shape !== "line") throw new Error("other shapes")
    expect((plan.values[2] ?? 0) - (plan.values[0] ?? 0)).toBeGreaterThan(0.7)
    expect(partly.missing).toBeGreaterThan(0.7)
  })

  test("has means of terms that sum to the mean score with the intercept", () => {
    const raw = rawScoresOfPart(matrix.features, model, matrix.columns, matrix.rows)
    const mean = raw.reduce((sum, value) => sum + value, 0) / matrix.rows
    expect(model.means.reduce((sum, value) => sum + value, model.intercept)).toBeCloseTo(mean, 10)
  })

  test("predicts as many events as there are", () => {
    const raw = rawScoresOfPart(matrix.features, model, matrix.columns, matrix.rows)
    const expected = raw.reduce((sum, value) => sum + probabilityOf(value), 0)
    expect(expected).toBeCloseTo(
      outcomes.reduce((sum, outcome) => sum + outcome, 0),
      3,
    )
  })

  test("is the same for any order of rows, up to rounding", () => {
    const order = new Random(3).shuffle(Uint32Array.from({ length: matrix.rows }, (_, row) => row))
    const { model: other } = trainGam(
      selectRows(matrix, order),
      Uint8Array.from(order, (row) => outcomes[row] ?? 0),
    )
    const [a, b] = [model, other].map((each) => rawScoresOfPart(matrix.features, each, matrix.columns, matrix.rows))
    expect(Math.max(...(a ?? []).map((value, row) => Math.abs(value - (b?.[row] ?? 0))))).toBeLessThan(1e-6)
  })
})

test("a direction holds everywhere, for any data", () => {
  const { matrix, outcomes } = sampleRows(1_500, 2)
  for (const direction of [1, -1] as const) {
    const { model } = trainGam(matrix, outcomes, { monotone: { curved: direction, straight: direction } })
    for (const term of model.terms.slice(0, 2)) {
      if (term.shape !== "line") throw new Error("no line")
      const steps = term.values.slice(1).map((value, i) => direction * (value - (term.values[i] ?? 0)))
      expect(Math.min(...steps)).toBeGreaterThanOrEqual(0)
    }
  }
})

test("a number that separates the outcomes completely gives large and finite terms", () => {
  const rows = 200
  const column = Float64Array.from({ length: rows }, (_, row) => row)
  const matrix: Matrix = { features: [{ name: "leak", type: "number" }], columns: [column], rows }
  const { model } = trainGam(
    matrix,
    Uint8Array.from(column, (value) => Number(value >= 120)),
  )
  const raw = rawScoresOfPart(matrix.features, model, matrix.columns, rows)
  expect(raw.every((value) => Math.abs(value) < 100)).toBe(true)
  expect(raw.every((value, row) => value > 0 === row >= 120 || Math.abs(row - 120) < 3)).toBe(true)
})

test("empty, constant and duplicate columns give finite scores", () => {
  const { matrix, outcomes } = sampleRows(300, 5)
  const none = new Float64Array(300).fill(Number.NaN)
  const one = new Float64Array(300).fill(7)
  const [curved = none] = matrix.columns
  const features = ["none", "one", "first", "again", "huge"].map((name) => ({ name, type: "number" }) as const)
  const huge = curved.map((value, row) => (row === 0 ? 1e300 : row === 1 ? Number.POSITIVE_INFINITY : value * 1e12))
  const { model } = trainGam({ features, columns: [none, one, curved, curved, huge], rows: 300 }, outcomes)
  const raw = rawScoresOfPart(features, model, [none, one, curved, curved, huge], 300)
  expect(raw.every(Number.isFinite)).toBe(true)
})

test("with too many levels the frequent ones have separate values, and the others share one", () => {
  const rows = 2_500
  const random = new Random(8)
  const columns = [0, 1, 2].map(() => Float64Array.from({ length: rows }, () => Math.floor(400 * random.next() ** 3)))
  const levels = Array.from({ length: 400 }, (_, level) => `l${level}`)
  const features = ["a", "b", "c"].map((name) => ({ name, type: "category", levels }) as const)
  const outcomes = Uint8Array.from(columns[0] ?? [], (level) => Number(random.next() < (level === 0 ? 0.8 : 0.2)))
  const { model } = trainGam({ features, columns, rows }, outcomes)
  const [first] = model.terms
  if (first?.shape !== "levels") throw new Error("no levels")
  expect(first.values).toHaveLength(400)
  expect((first.values[0] ?? 0) - (first.values[1] ?? 0)).toBeGreaterThan(1.5)
  expect(new Set(first.values).size).toBeLessThanOrEqual(150)
})

test("with too many inputs the predictive ones get a term", () => {
  const { matrix, outcomes } = sampleRows(600, 11)
  const random = new Random(12)
  const noise = Array.from({ length: 500 }, (_, i) => ({ name: `noise ${i}`, type: "number" }) as const)
  const columns = [...noise.map(() => Float64Array.from({ length: 600 }, () => random.gaussian())), ...matrix.columns]
  const features = [...noise, ...matrix.features]
  const used = strongestInputs({ features, columns, rows: 600 }, outcomes, 20)
  expect(used.size).toBe(20)
  for (const name of ["curved", "straight", "plan"])
    expect(used).toContain(features.findIndex((each) => each.name === name))
})

test("a given pair is fitted", () => {
  const rows = 1_500
  const random = new Random(10)
  const columns = [0, 1].map(() => Float64Array.from({ length: rows }, () => random.gaussian()))
  const [x = new Float64Array(0), y = x] = columns
  const outcomes = Uint8Array.from(x, (value, row) => Number(random.next() < (value * (y[row] ?? 0) > 0 ? 0.85 : 0.15)))
  const features = ["x", "y"].map((name) => ({ name, type: "number" }) as const)
  const { model } = trainGam({ features, columns, rows }, outcomes, { pairs: [{ inputs: [0, 1], cuts: [[0], [0]] }] })
  const raw = rawScoresOfPart(features, model, [Float64Array.of(1, 1, -1), Float64Array.of(1, -1, Number.NaN)], 3)
  expect(raw[0]).toBeGreaterThan(1.3)
  expect(raw[1]).toBeLessThan(-1.3)
  expect(Math.abs(raw[2] ?? 9)).toBeLessThan(0.5)
})

test("the linear algebra solves and inverts", () => {
  const random = new Random(9)
  const size = 12
  const root = Float64Array.from({ length: size * size }, () => random.gaussian())
  const matrix = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      for (let k = 0; k < size; k++)
        matrix[i * size + j] = (matrix[i * size + j] ?? 0) + (root[i * size + k] ?? 0) * (root[j * size + k] ?? 0)
      if (i === j) matrix[i * size + j] = (matrix[i * size + j] ?? 0) + 0.5
    }
  }
  const lower = matrix.slice()
  expect(factor(lower, size)).toBe(true)
  const b = Float64Array.from({ length: size }, () => random.gaussian())
  const x = solve(lower, size, b)
  const inverse = inverseBlock(invertLower(lower, size), size, 0, size)
  for (let i = 0; i < size; i++) {
    let [product, solved] = [0, 0]
    for (let j = 0; j < size; j++) {
      product += (matrix[i * size + j] ?? 0) * (x[j] ?? 0)
      solved += (inverse[i * size + j] ?? 0) * (b[j] ?? 0)
    }
    expect(product).toBeCloseTo(b[i] ?? 0, 9)
    expect(solved).toBeCloseTo(x[i] ?? 0, 9)
  }
  expect(factor(Float64Array.of(1, 2, 2, 1), 2)).toBe(false)
})
