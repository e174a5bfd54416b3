import { describe, expect, test } from "vitest"
import type { ExperimentRow, VariantRow } from "../../db/queries/interventions/variants.ts"
import { compareVariants } from "./variants.ts"

const ROW: ExperimentRow = {
  ...{ id: "template_1", version: 2, caseKind: "payment", stage: null, ask: null, channel: null, language: null },
  experiment: {
    id: "experiment_1",
    startedAt: "2026-03-01T00:00:00.000Z",
    controlWeight: 2,
    variants: [
      { name: "short", weight: 1, words: {} },
      { name: "warm", weight: 1, words: {} },
    ],
  },
  endedAt: null,
}

const outcomes = (variant: string, cases: number, matured: number, successes: number): VariantRow => ({
  ...{ experimentId: "experiment_1", variant, cases, matured, successes },
})

describe("a comparison of variants", () => {
  test("counts only matured cases, and has a verdict for each variant against the template's own words", () => {
    const rows = [outcomes("control", 130, 100, 40), outcomes("short", 120, 100, 70), outcomes("warm", 40, 29, 29)]
    const { arms } = compareVariants(ROW, rows)
    expect(
      arms.map(({ name, weight, cases, matured, successes, rate }) => [name, weight, cases, matured, successes, rate]),
    ).toEqual([
      ["control", 2, 130, 100, 40, 0.4],
      ["short", 1, 120, 100, 70, 0.7],
      ["warm", 1, 40, 29, 29, 1],
    ])
    expect(arms.map(({ lift }) => lift?.verdict)).toEqual([undefined, "more", "too_few_to_tell"])
    const short = arms[1]?.lift
    expect(short?.difference).toBeCloseTo(0.3)
    expect(short?.low).toBeGreaterThan(0)
    expect(short?.high).toBeLessThan(0.5)
  })

  test("shows fewer successes as less", () => {
    const { arms } = compareVariants(ROW, [outcomes("control", 100, 100, 70), outcomes("short", 100, 100, 40)])
    expect(arms[1]?.lift).toMatchObject({ verdict: "less" })
  })

  test("names variants without cases, with no rate and no verdict", () => {
    const { arms, endedAt } = compareVariants({ ...ROW, endedAt: new Date("2026-04-01T00:00:00Z") }, [])
    expect(arms.map(({ rate, low, high, cases }) => [rate, low, high, cases])).toEqual(Array(3).fill([null, 0, 1, 0]))
    expect(arms[1]?.lift).toEqual({ verdict: "too_few_to_tell", difference: null, low: null, high: null })
    expect(endedAt).toBe("2026-04-01T00:00:00.000Z")
  })
})
