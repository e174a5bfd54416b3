import { describe, expect, test } from "vitest"
import { artefactSchema } from "../scoring/model/artefact.ts"
import { probabilityOf } from "../scoring/model/calibrate.ts"
import { prepareModel, scoreMany } from "../scoring/model/model.ts"
import { canonicalData, type LabelledRows } from "./data/labelled-rows.ts"
import { type Matrix, selectRows } from "./data/matrix.ts"
import { assignFolds, FOLDS } from "./evaluation/folds.ts"
import { metricsOf } from "./evaluation/metrics.ts"
import { Random } from "./random.ts"
import { type TrainSettings, trainModel } from "./train-model.ts"
import { CannotTrain } from "./training-error.ts"

const SETTINGS: TrainSettings = { kind: "auto", seed: 1, trainedAt: "2026-01-01T00:00:00.000Z", label: "churn" }

/** Rows whose outcome is a sum of two numbers and a category, or with `joint` the product of the numbers. */
function sampleRows(
  rows: number,
  seed: number,
  { joint = false } = {},
): LabelledRows & { readonly truth: Float64Array } {
  const random = new Random(seed)
  const columns = [0, 1, 2].map(() => Float64Array.from({ length: rows }, () => random.gaussian()))
  const plan = Float64Array.from({ length: rows }, () => (random.next() < 0.1 ? Number.NaN : random.int(3)))
  const [a = plan, b = plan] = columns
  const truth = Float64Array.from({ length: rows }, (_, row) => {
    const [x, y] = [a[row] ?? 0, b[row] ?? 0]
    return joint ? -1 + 4 * Math.sign(x * y) : -1 + x + 0.5 * y + (plan[row] === 1 ? 1 : 0)
  })
  const matrix: Matrix = {
    features: [
      { name: "a", type: "number" },
      { name: "b", type: "number" },
      { name: "noise", type: "number" },
      { name: "plan", type: "category", levels: ["x", "y", "z"] },
    ],
    columns: [...columns, plan],
    rows,
  }
  return {
    matrix,
    outcomes: Uint8Array.from(truth, (value) => Number(random.next() < probabilityOf(value))),
    customers: null,
    times: null,
    truth,
  }
}

const shuffled = (rows: LabelledRows, seed: number): LabelledRows => {
  const order = new Random(seed).shuffle(Uint32Array.from({ length: rows.matrix.rows }, (_, row) => row))
  return {
    matrix: selectRows(rows.matrix, order),
    outcomes: Uint8Array.from(order, (row) => rows.outcomes[row] ?? 0),
    customers: rows.customers === null ? null : Array.from(order, (row) => rows.customers?.[row] ?? null),
    times: rows.times === null ? null : Float64Array.from(order, (row) => rows.times?.[row] ?? 0),
  }
}

/** Many fits on a busy machine; alone they take seconds. */
const MANY_FITS_MS = 180_000

describe("training", { timeout: MANY_FITS_MS }, () => {
  const rows = sampleRows(300, 1)

  test("gives the same document for the same rows in any order, byte for byte", async () => {
    const customers = Array.from({ length: 300 }, (_, row) => (row % 9 === 0 ? null : `c${row % 150}`))
    const first = await trainModel({ ...rows, customers }, SETTINGS)
    const second = await trainModel(shuffled({ ...rows, customers }, 5), SETTINGS)
    expect(JSON.stringify(second.artefact)).toBe(JSON.stringify(first.artefact))
  })

  test("writes a complete artefact, with the metrics of its out-of-fold scores", async () => {
    const { artefact, outOfFold, metrics } = await trainModel(rows, { ...SETTINGS, kind: "gam" })
    expect(artefactSchema.parse(JSON.parse(JSON.stringify(artefact)))).toEqual(artefact)
    expect(artefact.kind).toBe("gam")
    expect(metricsOf(outOfFold.probabilities, outOfFold.outcomes)).toEqual(metrics)
    expect([...outOfFold.places].sort((a, b) => a - b)).toEqual([...rows.outcomes.keys()])
    outOfFold.places.forEach((place, i) => void expect(outOfFold.outcomes[i]).toBe(rows.outcomes[place]))
    const { training, confidence } = artefact
    expect(training).toMatchObject({ rows: 300, events: metrics.events, from: null, to: null, label: "churn", seed: 1 })
    expect(training.metrics.auc).toBe(metrics.auc)
    expect(training.reference.map(({ shares }) => shares.length)).toEqual([10, 10, 10, 3])
    training.reference.forEach(({ shares, missing }) => {
      expect(shares.reduce((sum, share) => sum + share, missing)).toBeCloseTo(1, 4)
    })
    expect(training.reference[3]?.missing).toBeCloseTo(0.1, 1)
    expect(training.scoreReference.cuts).toHaveLength(9)
    expect(confidence.reduce((sum, bin) => sum + bin.rows, 0)).toBe(300)
    expect(confidence.reduce((sum, bin) => sum + bin.events, 0)).toBe(metrics.events)
    expect(confidence.at(-1)?.upTo).toBe(1)
    const model = await prepareModel(artefact)
    expect(scoreMany(model, rows.matrix.columns, 300).every((p) => p > 0 && p < 1)).toBe(true)
  })

  test("chooses the scorecard if trees have no gain", async () => {
    const { artefact } = await trainModel(sampleRows(500, 2), SETTINGS)
    expect(artefact.parts.some(({ model }) => model.kind === "gam")).toBe(true)
  })

  test("chooses trees for interacting inputs, and states their gain", async () => {
    const joint = sampleRows(500, 3, { joint: true })
    const { artefact, metrics } = await trainModel(joint, SETTINGS)
    expect(artefact.parts.some(({ model }) => model.kind === "gbdt")).toBe(true)
    expect(metrics.auc).toBeGreaterThan(0.85)
    expect(artefact.training.notes.because).toMatch(/lowers log loss by 0\.\d+ ± 0\.\d+ against gam/)
  })

  test("keeps directions in either kind", async () => {
    for (const kind of ["gam", "gbdt"] as const) {
      const { artefact } = await trainModel(rows, { ...SETTINGS, kind, monotone: { a: -1, b: 1 } })
      const model = await prepareModel(artefact)
      const at = (a: number, b: number) =>
        scoreMany(
          model,
          [[a], [b], [0.1], [1]].map((v) => Float64Array.from(v)),
          1,
        )[0] ?? 0
      for (let x = -3; x < 3; x += 0.25) {
        expect(at(x + 0.25, 0)).toBeLessThanOrEqual(at(x, 0))
        expect(at(0, x + 0.25)).toBeGreaterThanOrEqual(at(0, x))
      }
    }
  })

  test("is an error with too few events", async () => {
    const few = { ...rows, outcomes: rows.outcomes.map((_, row) => Number(row < 5)) }
    await expect(trainModel(few, SETTINGS)).rejects.toThrow(CannotTrain)
  })
})

describe("folds", () => {
  const rows = sampleRows(600, 7)

  test("every row is tested once, by a model without it, and events are distributed evenly over folds", () => {
    const data = canonicalData(rows)
    const folds = assignFolds(data, { seed: 1 })
    expect(folds).toHaveLength(FOLDS)
    expect(folds.flatMap(({ test: each }) => [...each]).sort((a, b) => a - b)).toEqual([...data.outcomes.keys()])
    const events = folds.map(({ test: each }) => each.reduce((sum, row) => sum + (data.outcomes[row] ?? 0), 0))
    expect(Math.max(...events) - Math.min(...events)).toBeLessThanOrEqual(1)
    for (const { train, test: tested } of folds)
      expect(new Set([...train, ...tested]).size).toBe(train.length + tested.length)
  })

  test("copies of a row, and rows of one customer, are on one side", () => {
    const half = Array.from({ length: 600 }, (_, row) => Math.floor(row / 2))
    const twice = selectRows(rows.matrix, half)
    const outcomes = Uint8Array.from(half, (row) => rows.outcomes[row] ?? 0)
    const customers = half.map((row) => (row < 200 ? `c${row % 40}` : null))
    const data = canonicalData({ matrix: twice, outcomes, customers, times: null })
    const foldOf = new Map<number, number>()
    assignFolds(data, { seed: 1 }).forEach(({ test: each }, fold) => {
      for (const row of each) foldOf.set(row, fold)
    })
    const sides = new Map<string, Set<number>>()
    data.outcomes.forEach((_, row) => {
      const place = data.places[row] ?? 0
      for (const key of [`copy ${half[place]}`, customers[place] ?? `row ${row}`]) {
        sides.set(key, (sides.get(key) ?? new Set()).add(foldOf.get(row) ?? -1))
      }
    })
    expect(Math.max(...[...sides.values()].map(({ size }) => size))).toBe(1)
  })

  test("a table with few different rows is split too", () => {
    const matrix = {
      ...rows.matrix,
      columns: rows.matrix.columns.map((column) => column.map((value) => (value > 0 ? 1 : 0))),
    }
    const folds = assignFolds(canonicalData({ ...rows, matrix }), { seed: 1 })
    expect(folds.every(({ test: each }) => Math.abs(each.length - 120) < 10)).toBe(true)
  })

  test("with times, training rows precede test rows by more than the horizon", () => {
    const times = Float64Array.from({ length: 600 }, (_, row) => 1e12 + (row % 50) * 86_400_000)
    const data = canonicalData({ ...rows, times })
    const horizonMs = 3 * 86_400_000
    const folds = assignFolds(data, { seed: 1, horizonMs })
    expect(folds.length).toBe(FOLDS)
    for (const { train, test: tested } of folds) {
      const latest = Math.max(...Array.from(train, (row) => data.times?.[row] ?? 0))
      const earliest = Math.min(...Array.from(tested, (row) => data.times?.[row] ?? 0))
      expect(earliest - latest).toBeGreaterThan(horizonMs)
    }
  })
})
