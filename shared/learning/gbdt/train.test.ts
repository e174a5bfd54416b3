import { describe, expect, test } from "vitest"
import { artefactOf, columnsOf, randomRow, someFeatures } from "../../../test/support/models/models.ts"
import type { ModelFeature } from "../../scoring/model/artefact.ts"
import { encode, prepareModel, rawScoresOfPart, score } from "../../scoring/model/model.ts"
import { type Matrix, selectRows } from "../data/matrix.ts"
import { Random } from "../random.ts"
import { CannotTrain } from "../training-error.ts"
import type { GbdtOptions } from "./options.ts"
import { trainGbdt } from "./train.ts"

type Case = { matrix: Matrix; labels: Uint8Array; truth: Float64Array }

/** Rows with missing values whose outcome depends on a sum, an interaction, a set of levels and missingness. */
function churners(seed: number, rows: number): Case {
  const random = new Random(seed)
  const features = someFeatures(4, 2)
  const list = Array.from({ length: rows }, () => randomRow(random, features))
  const truth = Float64Array.from(list, ([n0 = 0, n1 = 0, n2 = 0, , c0 = 0]) => {
    return -1 + (Number.isNaN(n0) ? 1.5 : n0) + (n1 * n2 > 0 ? 1 : 0) + (c0 === 1 || c0 === 4 ? 1.5 : 0)
  })
  const labels = Uint8Array.from(truth, (logit) => (random.next() < 1 / (1 + Math.exp(-logit)) ? 1 : 0))
  return { matrix: { features, columns: columnsOf(list), rows }, labels, truth }
}

function logLoss(scores: Float64Array, labels: Uint8Array): number {
  return labels.reduce((sum, label, row) => {
    return sum + Math.log1p(Math.exp((label === 1 ? -1 : 1) * (scores[row] ?? 0))) / labels.length
  }, 0)
}

const SMALL: Partial<GbdtOptions> = { trees: 40, leavesMax: 8, learningRate: 0.1 }

describe("training", () => {
  const train = churners(1, 2_000)
  const fresh = churners(2, 2_000)

  test("learns sums, interactions, sets of levels and the effect of missing values", () => {
    const { model } = trainGbdt(train.matrix, train.labels, { ...SMALL, trees: 100 })
    const scores = rawScoresOfPart(train.matrix.features, model, fresh.matrix.columns, fresh.matrix.rows)
    const share = fresh.labels.reduce((sum, label) => sum + label, 0) / fresh.labels.length
    const unknowing = logLoss(new Float64Array(2_000).fill(Math.log(share / (1 - share))), fresh.labels)
    const knowable = unknowing - logLoss(fresh.truth, fresh.labels)
    expect(unknowing - logLoss(scores, fresh.labels)).toBeGreaterThan(0.75 * knowable)
  })

  test.each<[string, Partial<GbdtOptions>]>([
    ["leaf by leaf", {}],
    ["level by level", { growth: "depth", depthMax: 3 }],
    ["with monotone features", { monotone: { n0: 1, n1: -1 } }],
    ["with early stopping", { validation: fresh, patience: 5, trees: 200, learningRate: 0.3 }],
    ["in few bins", { binsMax: 8, splitColumnShare: 0.5 }],
  ])("returns scores that are bit-identical to the evaluator's: %s", (_, options) => {
    const { model, scores } = trainGbdt(train.matrix, train.labels, { ...SMALL, ...options })
    const evaluated = rawScoresOfPart(train.matrix.features, model, train.matrix.columns, train.matrix.rows)
    expect(evaluated).toEqual(scores)
  })

  test("gives the same model for the same rows in any order", () => {
    const copies = Uint32Array.from({ length: 2_300 }, (_, place) => place % 2_000)
    const reordered = new Random(3).shuffle(copies.slice())
    const validation = { matrix: fresh.matrix, labels: fresh.labels }
    const places = new Random(4).shuffle(Array.from(fresh.labels.keys()))
    const shuffled = {
      matrix: selectRows(fresh.matrix, places),
      labels: places.map((place) => fresh.labels[place] ?? 0),
    }
    const fits = [
      { order: copies, validation },
      { order: reordered, validation: shuffled },
    ].map((one) => {
      const labels = Uint8Array.from(one.order, (place) => train.labels[place] ?? 0)
      const options = { ...SMALL, rowShare: 0.7, columnShare: 0.7, splitColumnShare: 0.8, validation: one.validation }
      return trainGbdt(selectRows(train.matrix, one.order), labels, options)
    })
    expect(JSON.stringify(fits[1]?.model)).toBe(JSON.stringify(fits[0]?.model))
    expect(fits[1]?.logLoss).toBe(fits[0]?.logLoss)
  })

  test("gives the same model for the same seed, and a different one for another seed", () => {
    const models = [1, 1, 2].map((seed) =>
      JSON.stringify(trainGbdt(train.matrix, train.labels, { ...SMALL, seed }).model),
    )
    expect(models[1]).toBe(models[0])
    expect(models[2]).not.toBe(models[0])
  })

  test("stops at the lowest validation loss", () => {
    const options = { ...SMALL, trees: 400, learningRate: 0.3, patience: 20, validation: fresh }
    const losses: number[] = []
    const fit = trainGbdt(train.matrix, train.labels, { ...options, onTree: (_, loss) => losses.push(loss ?? 0) })
    expect(fit.trees).toBeLessThan(380)
    expect(losses.length).toBe(fit.trees + 20)
    expect(fit.logLoss).toBe(Math.min(...losses))
    const scores = rawScoresOfPart(train.matrix.features, fit.model, fresh.matrix.columns, fresh.matrix.rows)
    expect(logLoss(scores, fresh.labels)).toBeCloseTo(fit.logLoss ?? 0, 12)
  })

  test("covers count the rows that reach a node", async () => {
    const { model } = trainGbdt(train.matrix, train.labels, SMALL)
    const prepared = await prepareModel(await artefactOf([...train.matrix.features], [{ weight: 1, model }]))
    // With true covers the expectation is the mean of the scores.
    const scores = rawScoresOfPart(train.matrix.features, model, train.matrix.columns, train.matrix.rows)
    const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length
    expect(prepared.expectedRaw).toBeCloseTo(mean, 9)
  })
})

describe("a monotone feature", () => {
  // The outcome is not monotone in n0, and n0 interacts with the other features.
  const random = new Random(11)
  const features = someFeatures(3, 1)
  const list = Array.from({ length: 3_000 }, () => randomRow(random, features))
  const labels = Uint8Array.from(list, ([n0 = 0, n1 = 0, n2 = 0]) => {
    const logit = 2 * Math.sin(2 * n0) + 0.5 * n0 + n1 * n0 + n2
    return random.next() < 1 / (1 + Math.exp(-(Number.isNaN(logit) ? 0 : logit))) ? 1 : 0
  })
  const matrix = { features, columns: columnsOf(list), rows: list.length }
  const grid = Array.from({ length: 121 }, (_, step) => (step - 60) / 20)

  /** Counts decreases of the score along the grid of the first feature, over different rows. */
  function falls(options: Partial<GbdtOptions>): number {
    const { model } = trainGbdt(matrix, labels, { trees: 60, leavesMax: 16, depthMax: 8, childRowsMin: 5, ...options })
    let found = 0
    for (let round = 0; round < 60; round++) {
      const row = randomRow(new Random(`row ${round}`), features)
      const rows = grid.map((value) => Float64Array.of(value, ...row.subarray(1)))
      const scores = rawScoresOfPart(features, model, columnsOf(rows), rows.length)
      for (let step = 1; step < grid.length; step++) {
        if ((scores[step] ?? 0) < (scores[step - 1] ?? 0)) found++
      }
    }
    return found
  }

  test("never lowers the score as it rises, at any values of the others", () => {
    expect(falls({})).toBeGreaterThan(100)
    expect(falls({ monotone: { n0: 1 } })).toBe(0)
    expect(falls({ monotone: { n0: 1 }, growth: "depth" })).toBe(0)
  })

  test("never raises the score with direction -1", () => {
    const rises = (options: Partial<GbdtOptions>): number => {
      const { model } = trainGbdt(matrix, labels, { trees: 60, leavesMax: 16, depthMax: 8, ...options })
      const rows = grid.map((value) => Float64Array.of(value, 0.5, -0.5, 2))
      const scores = rawScoresOfPart(features, model, columnsOf(rows), rows.length)
      return scores.filter((value, step) => step > 0 && value > (scores[step - 1] ?? 0)).length
    }
    expect(rises({})).toBeGreaterThan(0)
    expect(rises({ monotone: { n0: -1 } })).toBe(0)
  })
})

describe("unusual tables", () => {
  const number: ModelFeature = { name: "n", type: "number" }
  const labels = Uint8Array.from({ length: 200 }, (_, row) => row % 2)
  const table = (...columns: Float64Array[]): Matrix => {
    return { features: columns.map((_, place) => ({ ...number, name: `n${place}` })), columns, rows: labels.length }
  }

  test("constant and empty columns give the base rate", async () => {
    const constant = new Float64Array(200).fill(3)
    const empty = new Float64Array(200).fill(Number.NaN)
    const endless = new Float64Array(200).fill(Number.POSITIVE_INFINITY)
    const matrix = table(constant, empty, endless)
    const { model, trees } = trainGbdt(matrix, labels)
    expect(trees).toBe(0)
    const prepared = await prepareModel(await artefactOf([...matrix.features], [{ weight: 1, model }]))
    expect(score(prepared, encode(prepared, { n0: 5 }).vector).probability).toBe(0.5)
  })

  test("extreme doubles are separated", () => {
    const extremes = [Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, 0, 1, 1 + Number.EPSILON]
    const column = Float64Array.from(labels, (_, row) => extremes[row % 6] ?? 0)
    const outcomes = Uint8Array.from(column, (value) => (value === 5e-324 || value === 1 + Number.EPSILON ? 1 : 0))
    const { model } = trainGbdt(table(column), outcomes, { rowShare: 1, childRowsMin: 1, childWeightMin: 0.01 })
    const scores = rawScoresOfPart([{ ...number, name: "n0" }], model, [column], 200)
    for (const [row, outcome] of outcomes.entries()) expect((scores[row] ?? 0) > 0).toBe(outcome === 1)
  })

  test("a category with more levels than bins is scored as trained", () => {
    const features: ModelFeature[] = [
      { name: "city", type: "category", levels: Array.from({ length: 400 }, (_, n) => `c${n}`) },
    ]
    const random = new Random(5)
    const column = Float64Array.from({ length: 6_000 }, () => random.int(400))
    const outcomes = Uint8Array.from(column, (level) => (random.next() < (level % 3 === 0 ? 0.8 : 0.2) ? 1 : 0))
    const matrix = { features, columns: [column], rows: column.length }
    const { model, scores } = trainGbdt(matrix, outcomes, { trees: 10 })
    expect(rawScoresOfPart(features, model, matrix.columns, matrix.rows)).toEqual(scores)
  })

  test.each<[string, () => unknown]>([
    ["no rows", () => trainGbdt({ features: [number], columns: [new Float64Array(0)], rows: 0 }, [])],
    ["no features", () => trainGbdt({ features: [], columns: [], rows: 200 }, labels)],
    ["one outcome", () => trainGbdt(table(new Float64Array(200)), new Uint8Array(200))],
    ["an invalid label", () => trainGbdt(table(new Float64Array(200)), new Uint8Array(200).fill(2))],
    ["too few labels", () => trainGbdt(table(new Float64Array(200)), labels.subarray(1))],
    ["a column that is too short", () => trainGbdt(table(new Float64Array(199)), labels)],
    ["an option out of range", () => trainGbdt(table(new Float64Array(200)), labels, { learningRate: Number.NaN })],
    ["an unknown monotone feature", () => trainGbdt(table(new Float64Array(200)), labels, { monotone: { x: 1 } })],
  ])("%s is rejected with a reason", (_, train) => {
    expect(train).toThrow(CannotTrain)
  })
})
