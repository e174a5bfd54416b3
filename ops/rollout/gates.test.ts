import { expect, test } from "vitest"
import { type DeploymentMetrics, gatesOf, metricsSchema } from "./gates.ts"

const GOOD: DeploymentMetrics = {
  windowMinutes: 15,
  isPartial: false,
  requests: 1_000,
  errorRate: 0,
  meanResponseMs: 40,
  processing: { received: 100, processed: 100, failed: 0, waiting: 0, success: 1 },
  delivery: { sent: 40, failed: 0, unknown: 0, rate: 1 },
}

const failing = (figures: DeploymentMetrics): readonly string[] =>
  gatesOf(figures)
    .filter(({ isKept }) => !isKept)
    .map(({ name }) => name)

test("good metrics pass every gate, without a note", () => {
  expect(gatesOf(GOOD).map(({ isKept, note }) => [isKept, note])).toEqual(Array(4).fill([true, null]))
})

test.each([
  [{ errorRate: 0.0099 }, []],
  [{ errorRate: 0.01 }, ["error rate"]],
  [{ meanResponseMs: 1_999.9 }, []],
  [{ meanResponseMs: 2_000 }, ["mean response"]],
  [{ processing: { ...GOOD.processing, success: 0.999999 } }, ["processing success"]],
  [{ delivery: { ...GOOD.delivery, rate: 0.9501 } }, []],
  [{ delivery: { ...GOOD.delivery, rate: 0.95 } }, ["delivery"]],
] as const)("%j fails %j", (change, names) => {
  expect(failing({ ...GOOD, ...change })).toEqual(names)
})

test("a failing ratio is never shown rounded to a passing one", () => {
  const shown = gatesOf({ ...GOOD, processing: { ...GOOD.processing, success: 0.999999 } })[2]
  expect(shown).toMatchObject({ value: "99.99 %", isKept: false })
})

test("without data a gate passes, with a note", () => {
  const none = {
    ...GOOD,
    requests: 0,
    errorRate: null,
    meanResponseMs: null,
    processing: { ...GOOD.processing, success: null },
    delivery: { ...GOOD.delivery, rate: null },
  }
  expect(gatesOf(none).map(({ isKept, value, note }) => [isKept, value, note])).toEqual([
    [true, null, "no requests yet"],
    [true, null, "no requests yet"],
    [true, null, "no events yet"],
    [true, null, "no nudges yet"],
  ])
})

test("few requests are noted", () => {
  expect(gatesOf({ ...GOOD, requests: 49 })[0]?.note).toBe("only 49 requests in 15 minutes")
  expect(gatesOf({ ...GOOD, requests: 50 })[0]?.note).toBeNull()
})

test("failures are counted in the note", () => {
  const figures = {
    ...GOOD,
    processing: { ...GOOD.processing, failed: 1, success: 0.99 },
    delivery: { sent: 1, failed: 2, unknown: 3, rate: 1 / 6 },
  }
  expect(gatesOf(figures).map(({ note }) => note)).toEqual([
    null,
    null,
    "1 event failed or not processed in time",
    "5 nudges failed or unknown",
  ])
})

test("further fields of the API's answer are ignored", () => {
  expect(metricsSchema.parse({ ...GOOD, areas: {}, isPartial: undefined })).toEqual(GOOD)
  expect(metricsSchema.safeParse({ ...GOOD, errorRate: 2 }).success).toBe(false)
})
