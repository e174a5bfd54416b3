import { expect, test } from "vitest"
import { canBeForced, evaluateGates, type GateEvidence } from "./gates.ts"

const GOOD: GateEvidence = {
  metrics: { auc: 0.79, ece: 0.01, accuracy: 0.9, baseRate: 0.2 },
  strangers: [],
  dataQuality: 0.97,
  p95Ms: 40,
  isStrict: false,
}
const judge = (change: Partial<GateEvidence>) => evaluateGates({ ...GOOD, ...change })
const statusOf = (name: string, change: Partial<GateEvidence>) =>
  judge(change).gates.find((gate) => gate.name === name)?.status

test("a good model passes all of them, strict or not", () => {
  expect([judge({}).isPassed, judge({ isStrict: true }).isPassed]).toEqual([true, true])
})

test.each([
  ["auc", { metrics: { ...GOOD.metrics, auc: 0.6499 } }],
  ["calibration", { metrics: { ...GOOD.metrics, ece: 0.0301 } }],
  ["accuracy", { metrics: { ...GOOD.metrics, accuracy: 0.79 } }],
  ["data_quality", { dataQuality: 0.8999 }],
  ["latency", { p95Ms: 200 }],
  ["schema", { strangers: ["MonthlyCharges"] }],
] as const)("%s closes beyond its bound, and alone keeps a model back", (name, change) => {
  const report = judge(change)
  expect(report.isPassed).toBe(false)
  expect(report.gates.filter(({ status }) => status === "fail").map((gate) => gate.name)).toEqual([name])
})

test("bounds themselves pass", () => {
  const metrics = { auc: 0.65, ece: 0.03, accuracy: 0.85, baseRate: 0.01 }
  expect(judge({ metrics, dataQuality: 0.9, p95Ms: 199 }).isPassed).toBe(true)
})

test("what nobody measured is open, and closed while gates are strict; figures that are no numbers never pass", () => {
  expect(judge({ metrics: {}, dataQuality: null, p95Ms: null })).toMatchObject({ isPassed: true })
  expect(judge({ dataQuality: null, isStrict: true }).isPassed).toBe(false)
  expect(statusOf("auc", { metrics: { ...GOOD.metrics, auc: Number.NaN } })).toBe("fail")
  expect(statusOf("calibration", { metrics: { ...GOOD.metrics, ece: Number.NaN } })).toBe("fail")
})

test("accuracy says honestly what it is worth", () => {
  const because = (accuracy: number, baseRate?: number) =>
    judge({
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
  // A base rate above one half: the constant answer is then that everybody leaves.
  expect(because(0.65, 0.6)).toMatchObject({ status: "pass" })
})

test("whoever forces cannot force a model that asks for other features", () => {
  expect(canBeForced(judge({ metrics: { ...GOOD.metrics, auc: 0.1 } }))).toBe(true)
  expect(canBeForced(judge({ strangers: ["a", "b", "c", "d", "e", "f"] }))).toBe(false)
  const schema = judge({ strangers: ["a", "b", "c", "d", "e", "f"] }).gates[0]
  expect(schema?.because).toBe("customers are not described by a, b, c, d, e and 1 more")
})
