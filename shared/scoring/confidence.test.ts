import { expect, test } from "vitest"
import { confidenceOf, coverageOf } from "./confidence.ts"

test("a missing input counts as much as training data had it", () => {
  expect(coverageOf([true, true, false], [0, 0, 1])).toBe(1)
  expect(coverageOf([true, true, false], [0, 0, 0])).toBeCloseTo(2 / 3, 12)
  expect(coverageOf([false, true], [0, 0.9])).toBeCloseTo(0.1 / 1.1, 12)
  expect([coverageOf([], []), coverageOf([false], [1])]).toEqual([1, 1])
})

test("confidence is coverage times one minus the interval's width, and 0 without evidence", () => {
  expect(confidenceOf(1, { low: 0.02, high: 0.05 })).toBeCloseTo(0.97, 12)
  expect(confidenceOf(0.5, { low: 0.4, high: 0.6 })).toBeCloseTo(0.4, 12)
  expect(confidenceOf(1, { low: 0, high: 1 })).toBe(0)
})
