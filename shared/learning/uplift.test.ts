import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { beforeAll, describe, expect, test } from "vitest"
import { modelFeatures } from "../domain/scoring/features.ts"
import type { ModelFeature } from "../scoring/model/artefact.ts"
import { Random } from "./random.ts"
import {
  evaluateUplift,
  eventsOf,
  hasEnoughEvents,
  isBetter,
  predictUplift,
  trainUplift,
  type UpliftReport,
  type UpliftRows,
  upliftCurve,
} from "./uplift.ts"

/** Snapshots of the simulated log with randomly assigned nudges; see the fixture's README. */
function simsub(): UpliftRows {
  const file = new URL("../../test/fixtures/uplift/simsub-nudges.csv.gz", import.meta.url)
  const [head = "", ...lines] = gunzipSync(readFileSync(file)).toString("utf8").trim().split("\n")
  const header = head.split(",")
  const cells = lines.map((line) => line.split(","))
  const column = (name: string) => cells.map((line) => line[header.indexOf(name)] ?? "")
  const features = modelFeatures.filter(({ name }) => header.includes(name))
  const valuesOf = (feature: ModelFeature) =>
    Float64Array.from(column(feature.name), (text) => {
      if (text === "") return Number.NaN
      return feature.type === "number" ? Number(text) : feature.levels.indexOf(text)
    })
  return {
    matrix: { features, columns: features.map(valuesOf), rows: cells.length },
    outcomes: Uint8Array.from(column("churned"), Number),
    treated: Uint8Array.from(column("nudged"), Number),
    customers: column("customer"),
  }
}

/** Members with different true uplift: positive with high doubt, zero with high anger, negative otherwise. */
function population(rows: number, seed: string): UpliftRows & { readonly truth: Float64Array } {
  const random = new Random(seed)
  const [doubt, anger, noise] = [new Float64Array(rows), new Float64Array(rows), new Float64Array(rows)]
  const [outcomes, treated, truth] = [new Uint8Array(rows), new Uint8Array(rows), new Float64Array(rows)]
  for (let row = 0; row < rows; row++) {
    doubt[row] = random.next()
    anger[row] = random.next()
    noise[row] = random.next()
    const risk = 0.05 + 0.2 * (doubt[row] ?? 0) + 0.5 * (anger[row] ?? 0)
    truth[row] = (doubt[row] ?? 0) > 0.6 ? risk / 3 : (anger[row] ?? 0) > 0.8 ? 0 : -0.06
    treated[row] = Number(random.next() < 0.5)
    outcomes[row] = Number(random.next() < risk - (treated[row] ?? 0) * (truth[row] ?? 0))
  }
  const feature = (name: string): ModelFeature => ({ name, type: "number" })
  const features = ["doubt", "anger", "noise"].map(feature)
  const customers = Array.from({ length: rows }, (_, row) => `c${row}`)
  return { matrix: { features, columns: [doubt, anger, noise], rows }, outcomes, treated, customers, truth }
}

describe("on randomly assigned nudges of the simulated log", () => {
  let rows: UpliftRows
  let report: UpliftReport
  beforeAll(() => {
    rows = simsub()
    report = evaluateUplift(rows, 1)
  }, 120_000)

  test("there are just enough events", () => {
    expect(eventsOf(rows)).toEqual({ treated: 162, control: 231 })
    expect(hasEnoughEvents(report.events)).toBe(true)
  })

  test("ranking by uplift keeps more unseen members than ranking by risk and than random order", () => {
    expect(isBetter(report)).toBe(true)
    expect(report.learned.area).toBeGreaterThan(1.15 * report.byRisk.area)
    expect(report.learned.area).toBeGreaterThan(1.2 * report.chance)
    expect(report.learned.kept(0.2)).toBeGreaterThan(report.byRisk.kept(0.2))
  })
})

describe("with known true uplift", () => {
  const [seen, unseen] = [population(6_000, "seen"), population(20_000, "unseen")]
  const predicted = predictUplift(trainUplift(seen), unseen.matrix)
  /** The true number of members kept by contacting the first fifth of an order. */
  const keptBy = (scores: ArrayLike<number>): number =>
    [...unseen.truth.keys()]
      .sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
      .slice(0, unseen.truth.length / 5)
      .reduce((sum, row) => sum + (unseen.truth[row] ?? 0), 0)

  test("ranking by uplift is close to the optimum, and ranking by risk is not", () => {
    expect(keptBy(predicted.uplifts)).toBeGreaterThan(0.9 * keptBy(unseen.truth))
    expect(keptBy(predicted.risks)).toBeLessThan(0.8 * keptBy(unseen.truth))
  })

  test("negative and positive uplift are distinguished", () => {
    const mean = (isOf: (truth: number) => boolean): number => {
      const of = [...unseen.truth.keys()].filter((row) => isOf(unseen.truth[row] ?? 0))
      return of.reduce((sum, row) => sum + (predicted.uplifts[row] ?? 0), 0) / of.length
    }
    expect(mean((truth) => truth < 0)).toBeLessThan(-0.02)
    expect(mean((truth) => truth > 0)).toBeGreaterThan(0.05)
  })

  test("the curve estimates the true number of members kept, within its noise", () => {
    const curve = upliftCurve(unseen.truth, unseen)
    expect(Math.abs(curve.kept(0.2) - keptBy(unseen.truth))).toBeLessThan(100)
    expect(curve.kept(0)).toBe(0)
  })

  test("training is deterministic", () => {
    expect(predictUplift(trainUplift(seen), unseen.matrix).uplifts).toEqual(predicted.uplifts)
  })
})

test.each([
  [{ treated: 150, control: 30 }, true],
  [{ treated: 149, control: 300 }, false],
  [{ treated: 900, control: 29 }, false],
])("of %j is enough: %s", (events, expected) => {
  expect(hasEnoughEvents(events)).toBe(expected)
})
