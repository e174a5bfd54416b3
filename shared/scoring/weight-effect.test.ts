import fc from "fast-check"
import { expect, test } from "vitest"
import { COMPONENTS, type ComponentWeights, MODEL_WEIGHTS } from "../domain/scoring/health.ts"
import { metricsOf } from "../learning/evaluation/metrics.ts"
import { Random } from "../learning/random.ts"
import { type LabelledScore, weightEffect } from "./weight-effect.ts"

/** `rows` customers whose outcome depends on payment and usage as the model predicts. */
function customers(rows: number): LabelledScore[] {
  const random = new Random(7)
  return Array.from({ length: rows }, () => {
    const [payment, usage] = [random.next() * 4 - 2, random.next() * 4 - 2]
    const logOdds = -1 + payment + usage
    return { logOdds, components: { payment, usage }, isChurned: random.next() < 1 / (1 + Math.exp(-logOdds)) }
  })
}

const probabilityOf = (z: number) => 1 / (1 + Math.exp(-z))

test("the metrics equal those that models are evaluated by", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: -6, max: 6 }), fc.integer({ min: -4, max: 4 }), fc.boolean()), {
        minLength: 1,
      }),
      // Quarters: so that no tie is broken by rounding.
      fc.integer({ min: 0, max: 12 }).map((quarters) => quarters / 4),
      (given, usage) => {
        const rows = given.map(([logOdds, part, isChurned]) => ({ logOdds, components: { usage: part }, isChurned }))
        const effect = weightEffect(rows, { ...MODEL_WEIGHTS, usage })
        const outcomes = rows.map(({ isChurned }) => Number(isChurned))
        const model = metricsOf(
          rows.map(({ logOdds }) => probabilityOf(logOdds)),
          outcomes,
        )
        const other = metricsOf(
          rows.map(({ logOdds, components }) => probabilityOf(logOdds + (usage - 1) * components.usage)),
          outcomes,
        )
        expect([effect.rows, effect.events]).toEqual([model.rows, model.events])
        if (model.auc === null) expect(effect.auc).toBeNull()
        else {
          expect(effect.auc?.model).toBeCloseTo(model.auc, 10)
          expect(effect.auc?.weighted).toBeCloseTo(other.auc ?? Number.NaN, 10)
        }
        expect(effect.logLoss?.model).toBeCloseTo(model.logLoss, 10)
        expect(effect.logLoss?.weighted).toBeCloseTo(other.logLoss, 10)
      },
    ),
    { seed: 20_261_121, numRuns: 200 },
  )
})

test("omitting a predictive component lowers the AUC significantly; the model's own weights change nothing", () => {
  const rows = customers(4_000)
  const without = weightEffect(rows, { ...MODEL_WEIGHTS, usage: 0 }).auc
  expect(without?.difference).toBeLessThan(-0.05)
  expect(Math.abs(without?.difference ?? 0)).toBeGreaterThan(5 * (without?.standardError ?? Number.POSITIVE_INFINITY))
  expect(weightEffect(rows, MODEL_WEIGHTS).auc).toMatchObject({ difference: 0, standardError: 0 })
})

test("the standard error is that of the difference over samples", () => {
  const weights: ComponentWeights = { ...MODEL_WEIGHTS, usage: 0.3 }
  const all = customers(40_000)
  const effects = Array.from({ length: 100 }, (_, n) => weightEffect(all.slice(n * 400, (n + 1) * 400), weights).auc)
  const differences = effects.map((effect) => effect?.difference ?? Number.NaN)
  const middle = differences.reduce((sum, value) => sum + value, 0) / 100
  const deviation = Math.sqrt(differences.reduce((sum, value) => sum + (value - middle) ** 2, 0) / 99)
  const stated = effects.reduce((sum, effect) => sum + (effect?.standardError ?? Number.NaN), 0) / 100
  expect(stated / deviation).toBeGreaterThan(0.8)
  expect(stated / deviation).toBeLessThan(1.25)
})

test.each([
  ["no customers", []],
  ["only customers who stayed", [{ logOdds: 0, components: {}, isChurned: false }]],
] as const)("of %s there is no AUC to compare", (_, rows) => {
  expect(weightEffect(rows, MODEL_WEIGHTS)).toMatchObject({ rows: rows.length, events: 0, auc: null })
})

test("every component has its weight", () => {
  for (const name of COMPONENTS) {
    const rows = [
      { logOdds: 1, components: { [name]: 1 }, isChurned: true },
      { logOdds: 0.5, components: {}, isChurned: false },
    ]
    expect(weightEffect(rows, { ...MODEL_WEIGHTS, [name]: 0 }).auc).toMatchObject({ model: 1, weighted: 0 })
  }
})
