/** The limits of the other measures: the rate of false alarms without drift, and detection of drift. */
import { describe, expect, test } from "vitest"
import { Random } from "../random.ts"
import { calibrationDrift, recalibration } from "./calibration-drift.ts"
import { binomialProbabilities, chiSquareQuantile, normalQuantile, normalTails } from "./distributions.ts"
import { binOf, stability } from "./psi.ts"
import { compareRate } from "./rates.ts"

/** Counts of `rows` random rows over bins with these shares. */
function counts(random: Random, rows: number, shares: readonly number[]): number[] {
  const ends = shares.map((_, bin) => shares.slice(0, bin + 1).reduce((sum, share) => sum + share, 0))
  const found = shares.map(() => 0)
  for (let row = 0; row < rows; row++) {
    const at = random.next()
    const bin = Math.min(
      ends.findIndex((end) => at < end || end === ends.at(-1)),
      shares.length - 1,
    )
    found[bin] = (found[bin] ?? 0) + 1
  }
  return found
}

const TENTHS = Array.from({ length: 10 }, () => 0.1)

describe("PSI", () => {
  test.each([
    { n: 50, m: 2_000, shares: TENTHS },
    { n: 100, m: 100, shares: TENTHS },
    { n: 400, m: 400, shares: TENTHS },
    { n: 300, m: 1_000, shares: [0.7, 0.15, 0.08, 0.04, 0.03] },
  ])("is above its limit in about one sample of a hundred without drift: %j", ({ n, m, shares }) => {
    const random = new Random(`psi ${n} ${m}`)
    const draws = 1_200
    let above = 0
    for (let draw = 0; draw < draws; draw++) {
      above += Number(stability(counts(random, m, shares), counts(random, n, shares))?.isAbove)
    }
    expect(above / draws).toBeLessThan(0.018)
    expect(above / draws).toBeGreaterThan(0.003)
  })

  test("of a hundred rows without drift often exceeds 0.1, a usual fixed limit", () => {
    const random = new Random("fixed")
    const found = Array.from({ length: 500 }, () =>
      stability(counts(random, 5_000, TENTHS), counts(random, 100, TENTHS)),
    )
    const share = found.filter((one) => one !== null && one.psi > 0.1).length / found.length
    expect(share).toBeGreaterThan(0.25)
  })

  test("detects a shift of a fifth of the rows", () => {
    const random = new Random("moved")
    const moved = [0.02, 0.02, 0.05, 0.08, 0.11, 0.12, 0.13, 0.15, 0.16, 0.16]
    expect(stability(counts(random, 500, TENTHS), counts(random, 500, moved))?.isAbove).toBe(true)
  })

  test("is null with fewer than fifty rows, and rejects different bins", () => {
    expect(stability([20, 20], [500, 500])).toBeNull()
    expect(stability([500, 500], [49, 0])).toBeNull()
    expect(stability([60, 0, 0], [60, 0, 0])).toEqual({ psi: 0, limit: 0, isAbove: false })
    expect(() => stability([1], [1, 2])).toThrow(RangeError)
  })

  test("a value equal to a cut is below it, and missing values have a separate bin", () => {
    expect([0, 1, 1.5, 2, 3, Number.NaN].map((value) => binOf([1, 2], value))).toEqual([0, 0, 1, 1, 2, 3])
    expect(binOf([], 7)).toBe(0)
  })
})

describe("calibration", () => {
  const sample = (random: Random, rows: number, intercept = 0, slope = 1) =>
    Array.from({ length: rows }, () => {
      const x = -2 + 1.1 * random.gaussian()
      const chance = 1 / (1 + Math.exp(-(intercept + slope * x)))
      return { probability: 1 / (1 + Math.exp(-x)), isChurned: random.next() < chance }
    })

  test("is above its limits in about one sample of a hundred without drift", () => {
    const random = new Random("calibrated")
    const found = Array.from({ length: 500 }, () => calibrationDrift(sample(random, 600)))
    const share = (isSo: (one: NonNullable<(typeof found)[number]>) => boolean) =>
      found.filter((one) => one !== null && isSo(one)).length / found.length
    expect(found.every((one) => one !== null)).toBe(true)
    expect(share(({ isAbove }) => isAbove)).toBeLessThan(0.025)
    expect(share(({ ece, eceLimit }) => ece > eceLimit)).toBeLessThan(0.03)
    expect(share(({ pValue }) => pValue < 0.1)).toBeGreaterThan(0.06)
    expect(share(({ pValue }) => pValue < 0.1)).toBeLessThan(0.14)
  })

  test("a shift and a flattened slope are detected and estimated", () => {
    const random = new Random("drifted")
    const shifted = calibrationDrift(sample(random, 4_000, 0.5))
    expect(shifted).toMatchObject({ isAbove: true })
    expect(shifted?.intercept).toBeCloseTo(0.5, 0)
    expect(shifted?.z).toBeGreaterThan(4)
    const flat = calibrationDrift(sample(random, 4_000, -0.6, 0.6))
    expect(flat).toMatchObject({ isAbove: true })
    expect(flat?.slope).toBeCloseTo(0.6, 0)
  })

  test("is null with fewer than twenty churns", () => {
    expect(calibrationDrift(sample(new Random(1), 60))).toBeNull()
    expect(calibrationDrift([])).toBeNull()
  })

  test("a prior shrinks estimates from few rows, and constant or separating scores give finite results", () => {
    const few = sample(new Random(2), 40, 1)
    const [free, held] = [recalibration(few), recalibration(few, 0.4)]
    expect(Math.abs(held.intercept)).toBeLessThan(Math.abs(free.intercept))
    const alike = Array.from({ length: 100 }, (_, at) => ({ probability: 0.1, isChurned: at < 30 }))
    const line = recalibration(alike)
    expect(1 / (1 + Math.exp(-(line.intercept + line.slope * Math.log(1 / 9))))).toBeCloseTo(0.3, 6)
    const parted = Array.from({ length: 100 }, (_, at) => ({ probability: at / 100, isChurned: at >= 50 }))
    for (const value of Object.values(recalibration(parted))) expect(Number.isFinite(value)).toBe(true)
  })
})

describe("a rate", () => {
  test.each([
    { n: 200, m: 500, rate: 0.02 },
    { n: 1_000, m: 1_000, rate: 0.05 },
  ])("that has not changed is above its limit in one sample of a hundred at most: %j", ({ n, m, rate }) => {
    const random = new Random(`rate ${n}`)
    const count = (rows: number) => counts(random, rows, [rate, 1 - rate])[0] ?? 0
    const known = new Map<string, boolean>()
    const draws = 1_200
    let above = 0
    for (let draw = 0; draw < draws; draw++) {
      const [now, was] = [count(n), count(m)]
      const isAbove =
        known.get(`${now} ${was}`) ?? compareRate({ count: now, rows: n }, { count: was, rows: m })?.isAbove === true
      known.set(`${now} ${was}`, isAbove)
      above += Number(isAbove)
    }
    expect(above / draws).toBeLessThan(0.017)
  })

  test("that has doubled is detected, one that has fallen is not, and no rows give null", () => {
    expect(compareRate({ count: 100, rows: 1_000 }, { count: 50, rows: 1_000 })?.isAbove).toBe(true)
    expect(compareRate({ count: 10, rows: 1_000 }, { count: 50, rows: 1_000 })?.isAbove).toBe(false)
    expect(compareRate({ count: 40, rows: 100 }, { count: 0, rows: 1_000 })?.isAbove).toBe(true)
    expect(compareRate({ count: 0, rows: 0 }, { count: 0, rows: 10 })).toBeNull()
  })
})

test("quantiles and tails agree with published tables", () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.96, 3)
  expect(normalQuantile(0.01)).toBeCloseTo(-2.3263, 3)
  expect(normalTails(1.96)).toBeCloseTo(0.05, 4)
  expect(chiSquareQuantile(0.99, 1)).toBeCloseTo(6.635, 1)
  expect(chiSquareQuantile(0.99, 2)).toBeCloseTo(9.21, 2)
  expect(chiSquareQuantile(0.99, 9)).toBeCloseTo(21.67, 1)
  expect(chiSquareQuantile(0.99, 0)).toBe(0)
  const { first, chances } = binomialProbabilities(10, 0.5)
  expect(first).toBe(0)
  expect(chances[5]).toBeCloseTo(252 / 1024, 12)
  expect(chances.reduce((sum, chance) => sum + chance, 0)).toBeCloseTo(1, 12)
  expect([...binomialProbabilities(7, 1).chances]).toEqual([1])
})
