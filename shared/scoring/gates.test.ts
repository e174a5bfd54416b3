import { expect, test } from "vitest"
import { canBeForced, evaluateGates, type GateEvidence } from "./gates.ts"

const GOOD: GateEvidence = {
  metrics: { auc: 0.79, ece: 0.01, accuracy: 0.9, baseRate: 0.2 },
  unknownFeatures: [],
  dataQuality: 0.97,
  p95Ms: 40,
  isStrict: false,
}
const evaluate = (change: Partial<GateEvidence>) => evaluateGates({ ...GOOD, ...change })
const statusOf = (name: string, change: Partial<GateEvidence>) =>
  evaluate(change).gates.find((gate) => gate.name === name)?.status

test("a good model passes all gates, strict or not", () => {
  expect([evaluate({}).isPassed, evaluate({ isStrict: true }).isPassed]).toEqual([true, true])
})

test.each([
  ["auc", { metrics: { ...GOOD.metrics, auc: 0.6499 } }],
  ["calibration", { metrics: { ...GOOD.metrics, ece: 0.0301 } }],
  ["accuracy", { metrics: { ...GOOD.metrics, accuracy: 0.79 } }],
  ["data_quality", { dataQuality: 0.8999 }],
  ["latency", { p95Ms: 200 }],
  ["schema", { unknownFeatures: ["MonthlyCharges"] }],
] as const)("%s fails beyond its bound, and one failed gate blocks a model", (name, change) => {
  const report = evaluate(change)
  expect(report.isPassed).toBe(false)
  expect(report.gates.filter(({ status }) => status === "fail").map((gate) => gate.name)).toEqual([name])
})

test("values at the bounds pass", () => {
  const metrics = { auc: 0.65, ece: 0.03, accuracy: 0.85, baseRate: 0.01 }
  expect(evaluate({ metrics, dataQuality: 0.9, p95Ms: 199 }).isPassed).toBe(true)
})

test("a missing measurement passes unless gates are strict; NaN never passes", () => {
  expect(evaluate({ metrics: {}, dataQuality: null, p95Ms: null })).toMatchObject({ isPassed: true })
  expect(evaluate({ dataQuality: null, isStrict: true }).isPassed).toBe(false)
  expect(statusOf("auc", { metrics: { ...GOOD.metrics, auc: Number.NaN } })).toBe("fail")
  expect(statusOf("calibration", { metrics: { ...GOOD.metrics, ece: Number.NaN } })).toBe("fail")
})

test("the accuracy gate compares with a constant answer and says which condition passed", () => {
  const because = (accuracy: number, baseRate?: number) =>
    evaluate({
      metrics: { ...GOOD.metrics, accuracy, ...(baseRate === undefined ? { baseRate: Number.NaN } : { baseRate }) },
    }).gates.find(({ name }) => name === "accuracy")
  expect(because(0.97, 0.03)).toMatchObject({
    status: "pass",
    because: expect.stringMatching(/^at least 0.85, but no better/),
  })
  expect(because(0.8, 0.27)).toMatchObject({
    status: "pass",
    because: expect.stringMatching(/^better than a constant answer, though/),
  })
  expect(because(0.8, 0.1)).toMatchObject({
    status: "fail",
    because: expect.stringMatching(/^below 0.85 and no better/),
  })
  // A base rate above one half: the constant answer is then that everyone leaves.
  expect(because(0.65, 0.6)).toMatchObject({ status: "pass" })
})

test("a model with unknown features cannot be forced", () => {
  expect(canBeForced(evaluate({ metrics: { ...GOOD.metrics, auc: 0.1 } }))).toBe(true)
  expect(canBeForced(evaluate({ unknownFeatures: ["a", "b", "c", "d", "e", "f"] }))).toBe(false)
  const schema = evaluate({ unknownFeatures: ["a", "b", "c", "d", "e", "f"] }).gates[0]
  expect(schema?.because).toBe("customers are not described by a, b, c, d, e and 1 more")
})
