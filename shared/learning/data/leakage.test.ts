import { expect, test } from "vitest"
import { Random } from "../random.ts"
import { featureAuc, leakWarnings } from "./leakage.ts"

const random = new Random(5)
const outcomes = Uint8Array.from({ length: 2_000 }, () => Number(random.next() < 0.1))
const noise = Float64Array.from(outcomes, () => random.gaussian())
const matrix = (columns: Record<string, Float64Array>) => ({
  features: Object.keys(columns).map((name) => ({ name, type: "number" as const })),
  columns: Object.values(columns),
  rows: outcomes.length,
})

test("a feature that reveals the outcome is reported in either direction; a predictive one is not", () => {
  const helps = noise.map((value, row) => value + 1.5 * (outcomes[row] ?? 0))
  const ended = noise.map((value, row) => value / 10 - (outcomes[row] ?? 0))
  const warnings = leakWarnings(matrix({ helps, ended }), outcomes, 0.8)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain("ended alone")
})

test("a model that is too good is reported, unless there are too few rows", () => {
  expect(leakWarnings(matrix({ noise }), outcomes, 0.97)).toHaveLength(1)
  const few = Uint8Array.from(outcomes, (_, row) => Number(row < 5))
  expect(leakWarnings(matrix({ noise }), few, 1)).toEqual([])
})

test("ties count half, and missing values rank equally", () => {
  expect(featureAuc(Float64Array.of(1, 1, 1, 1), Uint8Array.of(0, 1, 0, 1))).toBe(0.5)
  expect(featureAuc(Float64Array.of(Number.NaN, Number.NaN, 2, 3), Uint8Array.of(0, 0, 1, 1))).toBe(1)
  expect(featureAuc(Float64Array.of(1, 2, 2, 3), Uint8Array.of(0, 1, 0, 1))).toBe(0.875)
})
