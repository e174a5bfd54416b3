import { describe, expect, test } from "vitest"
import { groupOffsets } from "./offsets.ts"
import { Random } from "./random.ts"

/** Companies with random offsets to the model, with `sizes` rows each. */
function companies(seed: number, sizes: readonly number[], deviation: number) {
  const random = new Random(seed)
  const [logits, outcomes, groups]: [number[], number[], string[]] = [[], [], []]
  const truth: Record<string, number> = {}
  sizes.forEach((size, i) => {
    const name = `company ${i}`
    const offset = deviation * random.gaussian()
    truth[name] = offset
    for (let row = 0; row < size; row++) {
      const logit = -3 + random.gaussian()
      logits.push(logit)
      outcomes.push(Number(random.next() < 1 / (1 + Math.exp(-logit - offset))))
      groups.push(name)
    }
  })
  return { logits, outcomes, groups, truth }
}

describe("offsets of companies", () => {
  test("many companies determine the deviation; a large one keeps its offset, a small one is shrunk towards 0", () => {
    const sizes = [20_000, 60, ...Array.from({ length: 40 }, () => 1_000)]
    const { logits, outcomes, groups, truth } = companies(7, sizes, 0.5)
    const { offsets, deviation } = groupOffsets(logits, outcomes, groups)
    expect(deviation).toBeGreaterThan(0.35)
    expect(deviation).toBeLessThan(0.65)
    expect(Math.abs((offsets["company 0"] ?? 0) - (truth["company 0"] ?? 0))).toBeLessThan(0.15)
    const alone = groupOffsets(
      logits.slice(20_000, 20_060),
      outcomes.slice(20_000, 20_060),
      groups.slice(20_000, 20_060),
    )
    expect(Math.abs(alone.offsets["company 1"] ?? 9)).toBeLessThan(0.5)
  })

  test("the shrunken offset is closer to the truth than 0 and than the company's own rate", () => {
    const sizes = Array.from({ length: 60 }, (_, i) => 50 + 20 * i)
    const { logits, outcomes, groups, truth } = companies(11, sizes, 0.4)
    const { offsets } = groupOffsets(logits, outcomes, groups)
    const own = (name: string) => {
      const rows = [...groups.keys()].filter((row) => groups[row] === name)
      const events = rows.reduce((sum, row) => sum + (outcomes[row] ?? 0), 0)
      const expected = rows.reduce((sum, row) => sum + 1 / (1 + Math.exp(-(logits[row] ?? 0))), 0)
      return Math.log((events + 0.5) / (expected + 0.5))
    }
    const error = (guess: (name: string) => number) =>
      Object.entries(truth).reduce((sum, [name, offset]) => sum + (guess(name) - offset) ** 2, 0)
    expect(error((name) => offsets[name] ?? 0)).toBeLessThan(error(() => 0))
    expect(error((name) => offsets[name] ?? 0)).toBeLessThan(error(own))
  })

  test("the order of rows does not change the result", () => {
    const { logits, outcomes, groups } = companies(3, [300, 500, 40], 0.5)
    const order = new Random("order").shuffle([...logits.keys()])
    const shuffled = groupOffsets(
      order.map((row) => logits[row] ?? 0),
      order.map((row) => outcomes[row] ?? 0),
      order.map((row) => groups[row] ?? null),
    )
    expect(shuffled).toStrictEqual(groupOffsets(logits, outcomes, groups))
  })

  test("rows without a company, and companies without churn, give finite offsets", () => {
    expect(groupOffsets([-3, -2], [0, 1], [null, null]).offsets).toEqual({})
    const { offsets } = groupOffsets(Array(500).fill(-2), Array(500).fill(0), Array(500).fill("a"))
    expect(offsets.a).toBeLessThan(0)
    expect(offsets.a).toBeGreaterThan(-4)
  })
})
