import { describe, expect, test } from "vitest"
import { Random } from "../random.ts"
import { type Batch, batchOf, cusum, RUN_LENGTH_BATCHES, SHIFT } from "./cusum.ts"

const probabilityOf = (logOdds: number): number => 1 / (1 + Math.exp(-logOdds))

/** A week of predictions, about 3 % on average, with outcomes whose true log-odds differ by `shift`. */
function week(random: Random, rows: number, shift: number): Batch {
  return batchOf(
    Array.from({ length: rows }, () => {
      const predicted = -3.9 + 0.9 * random.gaussian()
      return { probability: probabilityOf(predicted), isChurned: random.next() < probabilityOf(predicted + shift) }
    }),
  )
}

/** Predictions that mature in a week for a company of 1 600 customers. */
const LARGE = 373
const year = (random: Random, shiftAfter: number): Batch[] =>
  Array.from({ length: 52 }, (_, at) => week(random, LARGE, at < 26 ? 0 : shiftAfter))

describe("without drift", () => {
  test.each([100, LARGE])("each side has false alarms at the designed rate, with %i predictions per week", (rows) => {
    const random = new Random(`no drift ${rows}`)
    // A short run length, for enough false alarms in the simulated years.
    const designed = 50
    const weeks = 40 * 52
    let alarms = 0
    for (let history = 0; history < 40; history++) {
      const batches = Array.from({ length: 52 }, () => week(random, rows, 0))
      for (const { up, down } of cusum(batches, designed)) alarms += Number(up.isAbove) + Number(down.isAbove)
    }
    const share = alarms / 2 / weeks
    // Counts are discrete, so alarms are slightly rarer than designed; bounds are four standard deviations of 83 alarms.
    expect(share).toBeLessThan(1.4 / designed)
    expect(share).toBeGreaterThan(0.5 / designed)
  })

  test("24 companies have few false alarms in a year, with a designed run length of ten years", () => {
    const random = new Random("years")
    const alarmed = Array.from({ length: 24 }, () =>
      cusum(year(random, 0)).some(({ up, down }) => up.isAbove || down.isAbove),
    ).filter(Boolean)
    // Expected: 24 · 52 · 2 / 1 043 = 2.4.
    expect(RUN_LENGTH_BATCHES).toBe(1_043)
    expect(alarmed.length).toBeLessThanOrEqual(7)
  })
})

describe("with drift", () => {
  test("50 % more churns are detected within about two months in a large company", () => {
    const random = new Random("regime change")
    const weeksUntilFound = Array.from({ length: 40 }, () => {
      const found = cusum(year(random, SHIFT)).findIndex(({ up }, at) => at >= 26 && up.isAbove)
      return found === -1 ? 99 : found - 25
    }).sort((a, b) => a - b)
    expect(weeksUntilFound[19]).toBeLessThanOrEqual(7)
    expect(weeksUntilFound[31]).toBeLessThanOrEqual(9)
  })

  test("fewer churns than predicted are detected by the other side", () => {
    const random = new Random("better times")
    const points = cusum(year(random, -0.7))
    expect(points.some(({ down }, at) => at >= 26 && down.isAbove)).toBe(true)
    expect(points.some(({ up }) => up.isAbove)).toBe(false)
  })

  test("after an alarm the side restarts and detects continuing drift", () => {
    const random = new Random("anew")
    const batches = Array.from({ length: 30 }, () => week(random, LARGE, 1))
    const alarms = cusum(batches).flatMap(({ up }, at) => (up.isAbove ? [at] : []))
    expect(alarms.length).toBeGreaterThan(3)
    for (const [place, at] of alarms.entries()) expect(at).toBeGreaterThan(alarms[place - 1] ?? -1)
  })
})

test("the order of a batch's rows does not matter", () => {
  const random = new Random(3)
  const rows = Array.from({ length: 200 }, () => ({ probability: random.next(), isChurned: random.next() < 0.5 }))
  const [one, other] = [batchOf(rows), batchOf(random.shuffle([...rows]))]
  for (const name of ["rows", "events", "expected", "squares", "logUp", "logDown"] as const) {
    expect(other[name]).toBeCloseTo(one[name], 9)
  }
})

test("an empty week has no effect, and invalid probabilities are rejected", () => {
  const random = new Random(4)
  const [one, two] = [week(random, 300, 0), week(random, 300, 0)]
  const empty = batchOf([])
  const straight = cusum([one, two])
  const parted = cusum([empty, one, empty, empty, two])
  expect(parted[1]).toEqual(straight[0])
  expect(parted[4]).toEqual(straight[1])
  expect(cusum([])).toEqual([])
  expect(() => batchOf([{ probability: Number.NaN, isChurned: true }])).toThrow(RangeError)
  expect(() => batchOf([{ probability: 1.01, isChurned: true }])).toThrow(RangeError)
})

test("certain predictions cause an alarm only if they are wrong", () => {
  const sure = (isChurned: boolean) => batchOf(Array.from({ length: 50 }, () => ({ probability: 0, isChurned })))
  expect(cusum([sure(false)])[0]).toMatchObject({ up: { isAbove: false }, down: { isAbove: false } })
  expect(cusum([sure(true)])[0]).toMatchObject({ up: { isAbove: true } })
})
