import { describe, expect, test } from "vitest"
import { Random } from "../random.ts"
import { comparePaired, type Pair } from "./paired.ts"
import { completenessOf, dataQuality } from "./quality.ts"
import { evaluateChallenger } from "./verdict.ts"

const chanceOf = (x: number): number => 1 / (1 + Math.exp(-x))

/** Rows with true log-odds x; each model predicts them with its own noise and shift. */
function pairs(seed: string, rows: number, noise: { champion: number; challenger: number; shift?: number }): Pair[] {
  const random = new Random(seed)
  return Array.from({ length: rows }, (_, at) => {
    const x = -2 + random.gaussian()
    const seen = (by: number) => chanceOf(x + by * random.gaussian())
    const champion = seen(noise.champion)
    const challenger = chanceOf(Math.log(seen(noise.challenger) ** -1 - 1) * -1 + (noise.shift ?? 0))
    return { customer: `c${at % Math.ceil(rows / 2)}`, isChurned: random.next() < chanceOf(x), champion, challenger }
  })
}

describe("two models on the same labels", () => {
  test("are compared independently of the order of rows, and without rows the result is null", () => {
    const rows = pairs("order", 400, { champion: 0.8, challenger: 0.2 })
    const other = new Random(9).shuffle([...rows])
    const [one, again] = [comparePaired(rows, 1), comparePaired(other, 1)]
    expect(again?.low).toBeCloseTo(one?.low ?? 0, 12)
    expect(again?.difference).toBeCloseTo(one?.difference ?? 0, 12)
    expect(comparePaired([], 1)).toBeNull()
  })

  test("that are equally good differ significantly in about one comparison of twenty", () => {
    const apart = Array.from({ length: 150 }, (_, at) => {
      const found = comparePaired(pairs(`alike ${at}`, 300, { champion: 0.5, challenger: 0.5 }), at)
      return found !== null && (found.low > 0 || found.high < 0)
    }).filter(Boolean).length
    expect(apart).toBeLessThan(18)
  })

  test("are compared by resampling all rows of a customer together", () => {
    const rows = pairs("customers", 300, { champion: 0.7, challenger: 0.3 })
    const eachTwice = rows.flatMap((row) => [row, row])
    const parted = eachTwice.map((row, at) => ({ ...row, customer: `c${at}` }))
    const width = (found: ReturnType<typeof comparePaired>) => (found?.high ?? 0) - (found?.low ?? 0)
    expect(width(comparePaired(eachTwice, 2))).toBeGreaterThan(1.2 * width(comparePaired(parted, 2)))
  })
})

describe("a challenger", () => {
  test("that predicts better is proposed, one that predicts worse is rejected", () => {
    const better = pairs("better", 3_000, { champion: 1, challenger: 0.1 })
    expect(evaluateChallenger(better, 1)).toMatchObject({ word: "propose", reason: "better" })
    const worse = better.map((row) => ({ ...row, champion: row.challenger, challenger: row.champion }))
    expect(evaluateChallenger(worse, 1)).toMatchObject({ word: "reject", reason: "worse" })
  })

  test("that is equally good waits, and so does one with too few churns", () => {
    const alike = pairs("alike", 1_500, { champion: 0.2, challenger: 0.2 })
    expect(evaluateChallenger(alike, 1)).toMatchObject({ word: "wait", reason: "not_told_apart" })
    expect(evaluateChallenger(alike.slice(0, 60), 1)).toMatchObject({ word: "wait", reason: "too_few_churns" })
    expect(evaluateChallenger([], 1)).toMatchObject({ word: "wait", comparison: null })
  })

  test("that ranks better but is not calibrated waits", () => {
    const rows = pairs("shifted", 4_000, { champion: 2, challenger: 0, shift: 0.45 })
    expect(evaluateChallenger(rows, 1)).toMatchObject({ word: "wait", reason: "not_calibrated" })
  })
})

describe("data quality", () => {
  const perfect = { completeness: 1, freshness: 1, timeliness: 1, labels: 1 }
  test("is the product of its parts", () => {
    expect(dataQuality(perfect)).toBe(1)
    expect(dataQuality({ ...perfect, freshness: 0.95, labels: 0.9 })).toBeCloseTo(0.855, 12)
    expect(dataQuality({ ...perfect, timeliness: Number.NaN })).toBe(0)
    expect(dataQuality({ ...perfect, labels: 1.5 })).toBe(1)
  })

  test("counts only an increase in missing values over the reference", () => {
    expect(completenessOf([])).toBe(1)
    expect(
      completenessOf([
        [0.3, 0.3],
        [0.1, 0.5],
      ]),
    ).toBe(1)
    expect(
      completenessOf([
        [0.5, 0.1],
        [0, 0],
      ]),
    ).toBeCloseTo(0.8, 12)
  })
})
