import { describe, expect, test } from "vitest"
import oracle from "../../../test/fixtures/learning/scikit-learn.json" with { type: "json" }
import { calibrate, checkCalibration, logitOf, probabilityOf } from "../../scoring/model/calibrate.ts"
import { Random } from "../random.ts"
import { chooseCalibration, fitIsotonic, fitPlatt } from "./calibration.ts"

test("the line equals that of scikit-learn's unpenalised logistic regression", () => {
  const raw = oracle.p.map((p) => 1.7 * logitOf(p) + 0.4)
  const line = fitPlatt(raw, oracle.y)
  expect(line).toMatchObject({ kind: "platt" })
  if (line.kind !== "platt") return
  expect(line.slope).toBeCloseTo(oracle.slope, 5)
  expect(line.intercept).toBeCloseTo(oracle.intercept, 5)
})

test("steps pool the rows that scikit-learn's isotonic regression pools", () => {
  const steps = fitIsotonic(oracle.p2.map(logitOf), oracle.y2)
  const blocks = [...Map.groupBy(oracle.iso.keys(), (row) => oracle.iso[row]).values()]
  const expected = blocks.map((rows) => {
    const events = rows.reduce((sum, row) => sum + (oracle.y2[row] ?? 0), 0)
    return (events + 0.5) / (rows.length + 1)
  })
  if (steps?.kind !== "isotonic") throw new Error("no steps")
  steps.calibrated.forEach((logit, i) => void expect(probabilityOf(logit)).toBeCloseTo(expected[i] ?? 0, 9))
  expect(steps.calibrated).toHaveLength(expected.length)
})

/** Rows whose true log-odds are a function of the raw ones. */
function sampleRows(rows: number, seed: number, truth: (raw: number) => number) {
  const random = new Random(seed)
  const raw = Float64Array.from({ length: rows }, () => 1.5 * random.gaussian() - 1)
  const outcomes = Uint8Array.from(raw, (value) => Number(random.next() < probabilityOf(truth(value))))
  return { raw, outcomes, folds: Int32Array.from(raw, (_, row) => row % 5) }
}

describe("the choice", () => {
  test("is a line if scores are overconfident", () => {
    const { raw, outcomes, folds } = sampleRows(2_000, 1, (value) => 0.5 * value - 0.7)
    const { calibration, losses } = chooseCalibration(raw, outcomes, folds)
    expect(calibration.kind).toBe("platt")
    if (calibration.kind !== "platt") return
    expect(Math.abs(calibration.slope - 0.5)).toBeLessThan(0.08)
    expect(losses.platt).toBeLessThan(losses.none ?? 0)
  })

  test("is isotonic if the truth is not a line and there are enough events", () => {
    const { raw, outcomes, folds } = sampleRows(20_000, 2, (value) => (value < -1 ? -3 : value < 0.5 ? -0.5 : 1.5))
    const { calibration } = chooseCalibration(raw, outcomes, folds)
    expect(calibration.kind).toBe("isotonic")
    checkCalibration(calibration)
    expect(Math.abs(probabilityOf(calibrate(calibration, -2)) - probabilityOf(-3))).toBeLessThan(0.02)
  })

  test("is never isotonic with few events, and none with almost no events", () => {
    const few = sampleRows(800, 3, (value) => (value < 0 ? -3 : 1))
    expect(Object.keys(chooseCalibration(few.raw, few.outcomes, few.folds).losses)).not.toContain("isotonic")
    const none = sampleRows(200, 4, () => -4)
    expect(chooseCalibration(none.raw, none.outcomes, none.folds).calibration).toEqual({ kind: "none" })
  })
})

test("a line never reverses the order of scores", () => {
  const { raw, outcomes } = sampleRows(500, 6, (value) => -value)
  const line = fitPlatt(raw, outcomes)
  expect(line.kind === "platt" && line.slope > 0).toBe(true)
})
