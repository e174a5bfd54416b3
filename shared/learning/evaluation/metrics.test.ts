import { describe, expect, test } from "vitest"
import oracle from "../../../test/fixtures/learning/scikit-learn.json" with { type: "json" }
import { Random } from "../random.ts"
import { compareModels, intervalsOf, lossesOf, metricsOf } from "./metrics.ts"

const reversed = <T>(items: readonly T[]): T[] => [...items].reverse()

describe("metrics", () => {
  test("equal those of scikit-learn, including ties", () => {
    const metrics = metricsOf(oracle.p, oracle.y)
    expect(metrics.auc).toBeCloseTo(oracle.auc, 12)
    expect(metrics.prAuc).toBeCloseTo(oracle.ap, 12)
    expect(metrics.logLoss).toBeCloseTo(oracle.ll, 12)
    expect(metrics.brier).toBeCloseTo(oracle.brier, 12)
    expect(metrics.accuracy).toBeCloseTo(oracle.acc, 12)
    expect(metrics.baseAccuracy).toBeCloseTo(1 - metrics.baseRate, 12)
  })

  test("calibration error uses ten equal bins, lift the last tenth", () => {
    const metrics = metricsOf(oracle.p2, oracle.y2)
    expect(metrics.ece).toBeCloseTo(oracle.ece, 12)
    expect(metrics.lift).toBeCloseTo(oracle.lift, 12)
  })

  test("do not depend on the order of rows with equal probabilities", () => {
    const probabilities = oracle.p.map((p) => Math.round(p * 5) / 5)
    const there = metricsOf(probabilities, oracle.y)
    const back = metricsOf(reversed(probabilities), reversed(oracle.y))
    for (const [name, value] of Object.entries(there)) {
      expect(Object.entries(back).find(([other]) => other === name)?.[1]).toBeCloseTo(value ?? 0, 12)
    }
  })

  test("are those of guessing for a constant probability", () => {
    const metrics = metricsOf(
      oracle.p.map(() => 0.3),
      oracle.y,
    )
    expect(metrics.auc).toBe(0.5)
    expect(metrics.prAuc).toBeCloseTo(metrics.baseRate, 12)
    expect(metrics.lift).toBeCloseTo(1, 12)
    expect(metrics.ece).toBeCloseTo(Math.abs(0.3 - metrics.baseRate), 12)
  })

  test("are finite for wrong predictions of 0 and 1", () => {
    const { logLoss } = metricsOf([0, 1, 0.5], [1, 1, 0])
    expect(logLoss).toBeCloseTo((Math.log(1e15) + Math.log(2)) / 3, 6)
  })

  test("of ranking are null if only one outcome occurs", () => {
    const metrics = metricsOf([0.1, 0.2], [0, 0])
    expect(metrics).toMatchObject({ auc: null, prAuc: null, lift: null, events: 0, accuracy: 1 })
  })

  test("without rows are an error", () => {
    expect(() => metricsOf([], [])).toThrow(RangeError)
  })
})

/** Rows whose outcomes follow their probabilities. */
function sampleRows(rows: number, seed: number) {
  const random = new Random(seed)
  const probabilities = Float64Array.from({ length: rows }, () => 0.05 + 0.6 * random.next() ** 2)
  return { probabilities, outcomes: Uint8Array.from(probabilities, (p) => Number(random.next() < p)) }
}

describe("intervals", () => {
  const { probabilities, outcomes } = sampleRows(800, 4)

  test("are the same for the same seed, contain the metric, and have the theoretical width", () => {
    const intervals = intervalsOf(probabilities, outcomes, { seed: 3 })
    expect(intervalsOf(probabilities, outcomes, { seed: 3 })).toEqual(intervals)
    const metrics = metricsOf(probabilities, outcomes)
    for (const name of ["auc", "prAuc", "logLoss", "brier", "accuracy", "lift"] as const) {
      const [low, high] = intervals[name] ?? [1, 0]
      expect(low).toBeLessThan(metrics[name] ?? Number.NaN)
      expect(high).toBeGreaterThan(metrics[name] ?? Number.NaN)
    }
    const [low, high] = intervals.accuracy ?? [0, 0]
    const deviation = Math.sqrt((metrics.accuracy * (1 - metrics.accuracy)) / 800)
    expect((high - low) / (2 * 1.96 * deviation)).toBeGreaterThan(0.85)
    expect((high - low) / (2 * 1.96 * deviation)).toBeLessThan(1.15)
  })

  test("are wider for groups of similar rows", () => {
    const twice = (values: ArrayLike<number>) => [...Array.from(values), ...Array.from(values)]
    const groups = Int32Array.from([...outcomes.keys(), ...outcomes.keys()])
    const width = ([low, high]: readonly [number, number] = [0, 0]) => high - low
    const byRow = intervalsOf(twice(probabilities), twice(outcomes), { seed: 3 })
    const byGroup = intervalsOf(twice(probabilities), twice(outcomes), { seed: 3, groups })
    expect(width(byGroup.logLoss) / width(byRow.logLoss)).toBeGreaterThan(1.25)
  })
})

describe("two models on the same rows", () => {
  const { probabilities, outcomes } = sampleRows(1_500, 5)

  test("the better one wins significantly, by the difference in loss", () => {
    const worse = probabilities.map((p) => 0.5 * p + 0.1)
    const { logLoss, auc } = compareModels(probabilities, worse, outcomes, { seed: 1 })
    expect(logLoss.gain).toBeCloseTo(
      metricsOf(worse, outcomes).logLoss - metricsOf(probabilities, outcomes).logLoss,
      12,
    )
    expect(logLoss.interval[0]).toBeGreaterThan(0)
    expect(auc?.gain).toBe(0) // the same order
  })

  test("a model compared with itself has no gain", () => {
    const { logLoss } = compareModels(probabilities, probabilities, outcomes, { seed: 1 })
    expect(logLoss).toEqual({ gain: 0, interval: [0, 0] })
  })
})

test("losses of extreme log-odds are finite", () => {
  expect([...lossesOf([800, -800, 0], [1, 1, 0])]).toEqual([0, 800, Math.log(2)])
})
