import { describe, expect, test } from "vitest"
import { daysBefore, viewOn } from "../../../../test/support/events/ledger.ts"
import type { Fact } from "../../facts.ts"
import { usageFeatures } from "./usage.ts"

const TODAY = 200
/** One record, `daysAgo` days before the moment of the features. */
const used = (daysAgo: number, quantity: number, meter = "logins"): Fact => ({
  ...{ id: `${meter}_${daysAgo}`, occurredAt: daysBefore(TODAY, daysAgo) },
  ...{ kind: "usage_recorded", meter, quantity, subscriptionId: null },
})
/** One record a week, the newest first. */
const weekly = (quantities: readonly number[], meter = "logins") =>
  quantities.map((quantity, week) => used(7 * week + 1, quantity, meter))
const featuresOf = (...facts: readonly Fact[]) => usageFeatures(viewOn(TODAY, facts))

test("usage that was never reported is not known, which differs from none", () => {
  expect(featuresOf()).toEqual({
    usage_known: 0,
    usage_4w_ratio: null,
    usage_8w_ratio: null,
    usage_2w_ratio: null,
    usage_life_ratio: null,
    usage_decline_4w: null,
    usage_decline_8w: null,
    usage_drop_8w: null,
    zero_usage_4w: null,
    zero_usage_weeks: null,
    days_since_usage: null,
  })
})

test("a meter that always counted zero is known, and its usage is as old as its first record", () => {
  expect(featuresOf(used(20, 0), used(3, 0), used(9, 0, "bytes"))).toEqual({
    usage_known: 1,
    usage_4w_ratio: null,
    usage_8w_ratio: null,
    usage_2w_ratio: null,
    usage_life_ratio: null,
    usage_decline_4w: null,
    usage_decline_8w: null,
    usage_drop_8w: null,
    zero_usage_4w: 1,
    zero_usage_weeks: 4,
    days_since_usage: 20,
  })
})

describe("usage is compared with what was before", () => {
  test("over two, four and twelve weeks, and over its whole life", () => {
    const weeks = [...[2, 2, 4, 4], ...[8, 8, 8, 8], ...[4, 4, 4, 4], ...[1, 1, 1, 1]]
    expect(featuresOf(...weekly(weeks))).toMatchObject({
      usage_2w_ratio: 2 / (40 / 6),
      usage_4w_ratio: 3 / 8,
      usage_8w_ratio: 3 / 6,
      usage_life_ratio: 3 / (52 / 12),
      usage_decline_4w: 1 - 3 / 8,
      usage_decline_8w: 1 - 3 / 6,
      usage_drop_8w: 1 - 4 / 7,
    })
  })

  test("as far back as the meter goes", () => {
    expect(featuresOf(...weekly([1, 1, 1, 1, 4, 4]))).toMatchObject({
      usage_4w_ratio: 0.25,
      usage_8w_ratio: 0.25,
      usage_life_ratio: 0.25,
    })
  })

  test("and more than twice as much counts as twice", () => {
    const grown = featuresOf(...weekly([9, 9, 9, 9, 3, 3, 3, 3]))
    expect(grown).toMatchObject({ usage_4w_ratio: 2, usage_decline_4w: 0, usage_decline_8w: 0, usage_drop_8w: 0 })
    expect(featuresOf(...weekly([5, 5, 5, 5, 4, 4, 4, 4])).usage_4w_ratio).toBe(1.25)
  })

  test("and a drop of small numbers counts less than one of large numbers", () => {
    expect(featuresOf(...weekly([1, 1, 1, 1, 2, 2, 2, 2])).usage_drop_8w).toBeCloseTo(1 / 3, 12)
    expect(featuresOf(...weekly([10, 10, 10, 10, 20, 20, 20, 20])).usage_drop_8w).toBeCloseTo(10 / 21, 12)
  })

  test("but not within the first four weeks", () => {
    const young = featuresOf(used(28, 3), used(1, 3))
    expect(young).toMatchObject({
      usage_4w_ratio: null,
      usage_decline_4w: null,
      usage_drop_8w: null,
      usage_2w_ratio: 1,
    })
    expect(featuresOf(used(29, 3), used(1, 3)).usage_4w_ratio).toBe(0.25)
  })

  test("each meter with itself, and the mean over those that were in use counts", () => {
    const facts = [
      ...weekly([5, 5, 5, 5, 10, 10, 10, 10]),
      ...weekly([1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9], "bytes"),
    ]
    expect(featuresOf(...facts).usage_4w_ratio).toBe(0.75)
    expect(featuresOf(...facts, ...weekly([7, 7, 7, 7, 0, 0, 0, 0], "new")).usage_4w_ratio).toBe(0.75)
  })

  test("with the same result in the last bit, whichever meter was reported first", () => {
    // 0.1 + 0.2 + 0.3 differs from 0.3 + 0.2 + 0.1 in the last bit.
    const meters = { a: 1, b: 2, c: 3 }
    const startedBy = (first: string) =>
      Object.entries(meters).flatMap(([meter, uses]) => [
        ...weekly([uses, uses, uses, uses, 10, 10, 10, 10], meter),
        used(meter === first ? 56 : 55, 0, meter),
      ])
    const [early, late] = [featuresOf(...startedBy("a")), featuresOf(...startedBy("c"))]
    expect(early.usage_4w_ratio).toBe((0.1 + 0.2 + 0.3) / 3)
    expect(late).toEqual(early)
  })
})

describe("a week", () => {
  test.each([
    ["with several records is their sum, which is not zero", [used(2, 0), used(1, 1)], 3],
    ["with a negative record counts as zero", [used(2, -5)], 4],
    ["is without usage only if no meter has any", [used(1, 0), used(2, 3, "bytes")], 3],
  ])("%s", (_, facts, zeroWeeks) => {
    expect(featuresOf(...facts)).toMatchObject({ zero_usage_weeks: zeroWeeks, zero_usage_4w: Number(zeroWeeks === 4) })
  })

  test("is counted from the moment: 28 days are four weeks", () => {
    expect(featuresOf(used(28, 1)).zero_usage_4w).toBe(0)
    expect(featuresOf(used(28.5, 1)).zero_usage_4w).toBe(1)
    expect(featuresOf(...weekly([1, 0, 1, 0])).zero_usage_weeks).toBe(2)
  })

  test("has the sum of its records", () => {
    expect(featuresOf(used(29, 1), used(30, 2), used(1, 6)).usage_4w_ratio).toBe(0.5)
  })
})

test("the last use is the newest of any meter, and records of zero are no use", () => {
  expect(featuresOf(used(12, 1), used(9, 2), used(3, 0), used(15, 4, "bytes")).days_since_usage).toBe(9)
})
