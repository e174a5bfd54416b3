import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Random } from "../../learning/random.ts"
import { type Amounts, incrementalOf, liftOf, shareOf, verdictOf } from "./lift.ts"

const arms = (a: number, n: number, b: number, m: number) => ({
  treated: { successes: a, cases: n },
  heldOut: { successes: b, cases: m },
})
const rounded = ({ low, high }: { low: number; high: number }, digits = 4) => [
  Number(low.toFixed(digits)),
  Number(high.toFixed(digits)),
]

describe("a share", () => {
  // Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("of %i in %i has the interval that the literature gives it", (successes, cases, low, high) => {
    expect(rounded(shareOf({ successes, cases }))).toEqual([low, high])
  })

  test("of nothing is not known", () => {
    expect(shareOf({ successes: 0, cases: 0 })).toEqual({ rate: null, low: 0, high: 1 })
  })
})

describe("a lift", () => {
  // Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
  test.each([
    [56, 70, 48, 80, 0.0524, 0.3339],
    [9, 10, 3, 10, 0.1705, 0.809],
    [5, 56, 0, 29, -0.0381, 0.1926],
    [0, 10, 0, 20, -0.1611, 0.2775],
    [10, 10, 0, 20, 0.6791, 1],
  ])("of %i in %i against %i in %i has the interval that the literature gives it", (a, n, b, m, low, high) => {
    const lift = liftOf([arms(a, n, b, m)])
    expect(lift && rounded(lift)).toEqual([low, high])
  })

  test("turns its sign when the arms are exchanged", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), fc.nat(200), fc.nat(200), (a, b, more, others) => {
        const [n, m] = [a + more + 1, b + others + 1]
        const [one, other] = [liftOf([arms(a, n, b, m)]), liftOf([arms(b, m, a, n)])]
        expect(one?.difference).toBeCloseTo(-(other?.difference ?? 0), 12)
        expect(one?.low).toBeCloseTo(-(other?.high ?? 0), 12)
      }),
      { seed: 5, numRuns: 300 },
    )
  })

  test("holds the truth 19 times of 20, with a tenth held out and shares that change with the draw", () => {
    const random = new Random("coverage")
    const draw = (cases: number, rate: number) => {
      let successes = 0
      for (let n = 0; n < cases; n++) successes += Number(random.next() < rate)
      return { successes, cases }
    }
    let [held, misled] = [0, 0]
    const RUNS = 800
    for (let run = 0; run < RUNS; run++) {
      // Two draws, of 10 and of 40 percent, in times in which much more or less is recovered anyway.
      const strata = [
        { treated: draw(900, 0.35), heldOut: draw(100, 0.3) },
        { treated: draw(120, 0.75), heldOut: draw(80, 0.7) },
      ]
      const lift = liftOf(strata)
      held += Number(lift !== null && lift.low <= 0.05 && lift.high >= 0.05)
      const pooled = liftOf([
        {
          treated: { successes: strata.reduce((s, { treated }) => s + treated.successes, 0), cases: 1_020 },
          heldOut: { successes: strata.reduce((s, { heldOut }) => s + heldOut.successes, 0), cases: 180 },
        },
      ])
      misled += Number((pooled?.difference ?? 0) < 0)
    }
    expect(held / RUNS).toBeGreaterThan(0.93)
    expect(held / RUNS).toBeLessThan(0.985)
    // What putting all in one pot would have said: that the nudges do harm.
    expect(misled / RUNS).toBeGreaterThan(0.5)
  })

  test("is not known without cases in both arms", () => {
    expect(liftOf([])).toBeNull()
    expect(liftOf([arms(5, 10, 0, 0), arms(0, 0, 5, 10)])).toBeNull()
  })
})

describe("what may be said", () => {
  test.each<[string, ReturnType<typeof arms>[]]>([
    ["too_few_to_tell", []],
    ["too_few_to_tell", [arms(200, 200, 0, 29)]],
    ["too_few_to_tell", [arms(100, 200, 0, 0)]],
    ["no_difference_shown", [arms(300, 900, 30, 100)]],
    ["more", [arms(450, 900, 30, 100)]],
    ["less", [arms(150, 900, 30, 100)]],
  ])("is %s", (verdict, strata) => {
    expect(verdictOf(strata)).toBe(verdict)
  })
})

describe("the amount that the nudges brought", () => {
  const amounts = (cases: readonly (readonly [atStake: number, kept: number])[]): Amounts => {
    const sum = (of: (atStake: number, kept: number) => number) => cases.reduce((total, one) => total + of(...one), 0)
    return {
      cases: cases.length,
      atStake: sum((a) => a),
      kept: sum((_, k) => k),
      atStakeSquared: sum((a) => a * a),
      keptSquared: sum((_, k) => k * k),
      product: sum((a, k) => a * k),
    }
  }

  test("is what the treated kept beyond the share that is kept anyway", () => {
    const treated = amounts([
      [1_000, 1_000],
      [1_000, 0],
      [2_000, 2_000],
      [1_000, 1_000],
    ])
    const heldOut = amounts([
      [1_000, 1_000],
      [1_000, 0],
    ])
    expect(incrementalOf([{ treated, heldOut }])).toMatchObject({ amountMinor: 4_000 - 2_500 })
  })

  test("holds the truth about 19 times of 20 though amounts differ a hundredfold", () => {
    const random = new Random("amounts")
    const draw = (count: number, rate: number) =>
      amounts(
        Array.from({ length: count }, () => {
          const atStake = Math.round(500 * 10 ** (2 * random.next()))
          return [atStake, random.next() < rate ? atStake : 0] as const
        }),
      )
    let held = 0
    const RUNS = 500
    for (let run = 0; run < RUNS; run++) {
      const treated = draw(900, 0.4)
      const found = incrementalOf([{ treated, heldOut: draw(200, 0.3) }])
      const truth = 0.1 * treated.atStake
      held += Number(found !== null && found.low <= truth && found.high >= truth)
    }
    expect(held / RUNS).toBeGreaterThan(0.9)
    expect(held / RUNS).toBeLessThan(0.99)
  })

  test("is not known without amounts in both arms, and hardly from one case", () => {
    const some = amounts([[1_000, 500]])
    expect(incrementalOf([{ treated: some, heldOut: amounts([]) }])).toBeNull()
    const found = incrementalOf([{ treated: some, heldOut: some }])
    expect(found?.low).toBeLessThan(-1_000)
    expect(found?.high).toBeGreaterThan(1_000)
  })
})
