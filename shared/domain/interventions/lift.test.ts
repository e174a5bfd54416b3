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
  ])("of %i in %i has the published interval", (successes, cases, low, high) => {
    expect(rounded(shareOf({ successes, cases }))).toEqual([low, high])
  })

  test("is successes over cases", () => {
    expect(shareOf({ successes: 15, cases: 60 }).rate).toBe(0.25)
  })

  test("of no cases is unknown", () => {
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
  ])("of %i in %i against %i in %i has the published interval", (a, n, b, m, low, high) => {
    const lift = liftOf([arms(a, n, b, m)])
    expect(lift && rounded(lift)).toEqual([low, high])
  })

  test("changes its sign if the arms are exchanged", () => {
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

  test("covers the true value 19 times of 20, with strata of different hold-out percentages and rates", () => {
    const random = new Random("coverage")
    const sample = (cases: number, rate: number) => {
      let successes = 0
      for (let n = 0; n < cases; n++) successes += Number(random.next() < rate)
      return { successes, cases }
    }
    let [held, misled] = [0, 0]
    const RUNS = 800
    for (let run = 0; run < RUNS; run++) {
      // Two strata, of 10 and of 40 percent, in periods with very different recovery rates.
      const strata = [
        { treated: sample(900, 0.35), heldOut: sample(100, 0.3) },
        { treated: sample(120, 0.75), heldOut: sample(80, 0.7) },
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
    // Pooling the strata would show that nudges do harm (Simpson's paradox).
    expect(misled / RUNS).toBeGreaterThan(0.5)
  })

  test("is the mean of the strata, weighted by cases of both arms", () => {
    // The differences are 0.6 and 0.25, the weights 10·10/20 = 5 and 2·4/6 = 4/3.
    const lift = liftOf([arms(9, 10, 3, 10), arms(1, 2, 1, 4)])
    expect(lift?.difference).toBeCloseTo((5 * 0.6 + (4 / 3) * 0.25) / (5 + 4 / 3), 12)
  })

  test("over two equal strata is the same, with an interval narrower by the square root of two", () => {
    const stratum = arms(56, 70, 48, 80)
    const [one, two] = [liftOf([stratum]), liftOf([stratum, stratum])]
    if (one === null || two === null) throw new Error("no lift")
    expect(one.difference).toBeCloseTo(0.2, 12)
    expect(two.difference).toBeCloseTo(0.2, 12)
    expect(two.difference - two.low).toBeCloseTo((one.difference - one.low) / Math.SQRT2, 12)
    expect(two.high - two.difference).toBeCloseTo((one.high - one.difference) / Math.SQRT2, 12)
  })

  test("leaves out a stratum without cases in both arms", () => {
    const stratum = arms(56, 70, 48, 80)
    expect(liftOf([arms(5, 10, 0, 0), stratum, arms(0, 0, 5, 10)])).toEqual(liftOf([stratum]))
  })

  test("is unknown without cases in both arms", () => {
    expect(liftOf([])).toBeNull()
    expect(liftOf([arms(5, 10, 0, 0), arms(0, 0, 5, 10)])).toBeNull()
  })
})

describe("the verdict", () => {
  test.each<[string, ReturnType<typeof arms>[]]>([
    ["too_few_to_tell", []],
    ["too_few_to_tell", [arms(200, 200, 0, 29)]],
    ["too_few_to_tell", [arms(100, 200, 0, 0)]],
    ["too_few_to_tell", [arms(29, 29, 0, 200)]],
    ["too_few_to_tell", [arms(100, 200, 0, 0), arms(0, 0, 50, 200)]],
    ["more", [arms(30, 30, 0, 30)]],
    ["more", [arms(15, 15, 0, 15), arms(15, 15, 0, 15)]],
    ["no_difference_shown", [arms(300, 900, 30, 100)]],
    ["more", [arms(450, 900, 30, 100)]],
    ["less", [arms(150, 900, 30, 100)]],
  ])("is %s", (verdict, strata) => {
    expect(verdictOf(strata)).toBe(verdict)
  })
})

describe("the incremental amount", () => {
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

  test("is what the treated arm kept beyond the held-out arm's share", () => {
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

  const halfKept = amounts([
    [1_000, 1_000],
    [1_000, 0],
  ])

  test("has an interval of two ratio estimates", () => {
    // Two cases each, half of the amount kept: the variance of each ratio is 2/1 · 500 000 / 2 000² = 0.25.
    expect(incrementalOf([{ treated: halfKept, heldOut: halfKept }])).toEqual({
      amountMinor: 0,
      low: Math.floor(-1.96 * Math.sqrt(2_000 ** 2 * (0.25 + 0.25))),
      high: Math.ceil(1.96 * Math.sqrt(2_000 ** 2 * (0.25 + 0.25))),
    })
    // Three cases, of which a third of the amount is kept: 3/2 · (1 − 2/3 + 3/9) · 1 000² / 3 000² = 1/9.
    const third = amounts([
      [1_000, 1_000],
      [1_000, 0],
      [1_000, 0],
    ])
    const half = 1.959964 * Math.sqrt(3_000 ** 2 * (1 / 9 + 0.25))
    expect(incrementalOf([{ treated: third, heldOut: halfKept }])).toEqual({
      amountMinor: 1_000 - 1_500,
      low: Math.floor(-500 - half),
      high: Math.ceil(-500 + half),
    })
  })

  test("has no uncertainty where everything is kept, or the same share of every amount", () => {
    const all = amounts([
      [1_000, 1_000],
      [3_000, 3_000],
    ])
    const third = amounts([
      [1_000, 1_000 / 3],
      [7_100, 7_100 / 3],
    ])
    const found = incrementalOf([{ treated: all, heldOut: third }])
    expect(found?.amountMinor).toBe(2_667)
    expect(Math.abs((found?.high ?? 0) - (found?.low ?? 0))).toBeLessThan(3)
  })

  test("is the sum of the strata, without those that have no amount in both arms", () => {
    const stratum = {
      treated: amounts([
        [4_000, 4_000],
        [1_000, 0],
      ]),
      heldOut: halfKept,
    }
    const one = incrementalOf([stratum])
    expect(one?.amountMinor).toBe(1_500)
    expect(incrementalOf([stratum, stratum])?.amountMinor).toBe(3_000)
    const none = amounts([])
    expect(
      incrementalOf([{ treated: none, heldOut: halfKept }, stratum, { treated: halfKept, heldOut: none }]),
    ).toEqual(one)
  })

  test("covers the true value about 19 times of 20, although amounts differ by a factor of 100", () => {
    const random = new Random("amounts")
    const sample = (count: number, rate: number) =>
      amounts(
        Array.from({ length: count }, () => {
          const atStake = Math.round(500 * 10 ** (2 * random.next()))
          return [atStake, random.next() < rate ? atStake : 0] as const
        }),
      )
    let held = 0
    const RUNS = 500
    for (let run = 0; run < RUNS; run++) {
      const treated = sample(900, 0.4)
      const found = incrementalOf([{ treated, heldOut: sample(200, 0.3) }])
      const truth = 0.1 * treated.atStake
      held += Number(found !== null && found.low <= truth && found.high >= truth)
    }
    expect(held / RUNS).toBeGreaterThan(0.9)
    expect(held / RUNS).toBeLessThan(0.99)
  })

  test("is unknown without amounts in both arms, and very uncertain with one case", () => {
    const some = amounts([[1_000, 500]])
    expect(incrementalOf([{ treated: some, heldOut: amounts([]) }])).toBeNull()
    expect(incrementalOf([{ treated: amounts([]), heldOut: some }])).toBeNull()
    const found = incrementalOf([{ treated: some, heldOut: some }])
    expect(found?.low).toBeLessThan(-1_000)
    expect(found?.high).toBeGreaterThan(1_000)
  })
})
