import { describe, expect, test } from "vitest"
import { artefactOf, someFeatures } from "../../test/support/models/models.ts"
import { betaQuantile, betaShare, interval } from "./interval.ts"
import type { Artefact } from "./model/artefact.ts"
import { type Model, prepareModel } from "./model/model.ts"

describe("quantiles of the beta distribution", () => {
  // From scipy.stats.beta.ppf (SciPy 1.10).
  const known: readonly [number, number, number, number][] = [
    [0.005, 0.5, 0.5, 6.168375916970068e-5],
    [0.05, 0.5, 0.5, 0.0061558297024311365],
    [0.95, 0.5, 0.5, 0.9938441702975689],
    [0.005, 0.5, 100.5, 1.958618267654203e-7],
    [0.05, 0.5, 100.5, 1.961141745660975e-5],
    [0.5, 0.5, 100.5, 0.002266429228530002],
    [0.995, 0.5, 100.5, 0.03853633289959721],
    [0.05, 3.5, 97.5, 0.01091457721821494],
    [0.95, 3.5, 97.5, 0.0687567934534678],
    [0.05, 50.5, 949.5, 0.0396487002947252],
    [0.95, 50.5, 949.5, 0.062373098271431074],
    [0.5, 700.5, 4300.5, 0.14002400340809412],
    [0.005, 200.5, 12.5, 0.8924257325135574],
    [0.995, 200.5, 12.5, 0.9748149916459748],
    [0.05, 1000.5, 99000.5, 0.009492869074575807],
    [0.95, 1000.5, 99000.5, 0.010528072964236789],
  ]
  test.each(known)("at %f of Beta(%f, %f)", (share, alpha, beta, quantile) => {
    expect(Math.abs(betaQuantile(share, alpha, beta) / quantile - 1)).toBeLessThan(1e-9)
    expect(betaShare(quantile, alpha, beta)).toBeCloseTo(share, 10)
  })

  test("stay within bounds for ten million rows", () => {
    const quantile = betaQuantile(0.95, 300_000.5, 9_700_000.5)
    expect(betaShare(quantile, 300_000.5, 9_700_000.5)).toBeCloseTo(0.95, 8)
  })
})

describe("the interval of a probability", () => {
  const model = async (confidence: Artefact["confidence"]): Promise<Model> => {
    const gam = { kind: "gam" as const, intercept: 0, terms: [], means: [] }
    return prepareModel(await artefactOf(someFeatures(1, 0), [{ weight: 1, model: gam }], { confidence }))
  }
  const bins = [
    { upTo: 0.05, rows: 400, events: 8 },
    { upTo: 0.2, rows: 400, events: 40 },
    { upTo: 0.9, rows: 400, events: 160 },
  ]

  test("is the beta interval at the rate of its bin", async () => {
    const { low, high } = interval(await model(bins), 40.5 / 401, 0.9)
    expect(low).toBeCloseTo(betaQuantile(0.05, 40.5, 360.5), 9)
    expect(high).toBeCloseTo(betaQuantile(0.95, 40.5, 360.5), 9)
  })

  test("contains the probability, stays within 0 and 1, and is wider at a higher level", async () => {
    const prepared = await model([...bins, { upTo: 0.95, rows: 3, events: 0 }, { upTo: 1, rows: 0, events: 0 }])
    for (const probability of [1e-13, 0.001, 0.05, 0.051, 0.4, 0.93, 0.97, 1 - 1e-13]) {
      const [wide, narrow] = [interval(prepared, probability, 0.99), interval(prepared, probability, 0.8)]
      expect(narrow.low).toBeLessThanOrEqual(probability)
      expect(narrow.high).toBeGreaterThanOrEqual(probability)
      expect(wide.low).toBeLessThanOrEqual(narrow.low)
      expect(wide.high).toBeGreaterThanOrEqual(narrow.high)
      expect(wide.low >= 0 && wide.high <= 1).toBe(true)
    }
  })

  test("has a confidence by the number of events in its bin", async () => {
    const prepared = await model(bins)
    expect([0.01, 0.1, 0.5, 0.99].map((probability) => interval(prepared, probability).confidence)).toEqual([
      "low",
      "medium",
      "high",
      "high",
    ])
  })

  test("is 0 to 1 with low confidence for a model without evidence", async () => {
    expect(interval(await model([]), 0.3)).toEqual({ low: 0, high: 1, confidence: "low", events: 0 })
  })
})
