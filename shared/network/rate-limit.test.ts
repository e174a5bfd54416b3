import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { BoundedMap, Buckets, type Limit } from "./rate-limit.ts"

const MINUTE: Limit = { name: "test", max: 10, windowMs: 60_000 }
const START = Date.parse("2026-03-01T10:00:00Z")

const takeMany = (buckets: Buckets, count: number, nowMs: number, key = "a") =>
  Array.from({ length: count }, () => buckets.take(MINUTE, key, nowMs))

describe("a key", () => {
  test("is allowed as often as its limit says, then gets the time until it is allowed again", () => {
    const buckets = new Buckets(100)
    const statuses = takeMany(buckets, 12, START)
    expect(statuses.map(({ isOver }) => isOver)).toEqual([...Array(10).fill(false), true, true])
    expect(statuses.map(({ remaining }) => remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0])
    expect(statuses[11]?.resetMs).toBe(60_001)
    expect(buckets.take(MINUTE, "a", START + 60_001).isOver).toBe(false)
  })

  test("is counted separately from others", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 11, START)
    expect(buckets.take(MINUTE, "b", START).remaining).toBe(9)
    expect(buckets.take({ ...MINUTE, name: "other" }, "a", START).remaining).toBe(9)
  })

  test("is not allowed twice as often around the end of a window", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 10, START + 59_999)
    const after = takeMany(buckets, 10, START + 60_001)
    expect(after.filter(({ isOver }) => !isOver)).toHaveLength(1)
  })

  test("has its whole limit again after two idle windows", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 10, START)
    expect(buckets.read(MINUTE, "a", START + 120_000)).toMatchObject({ isOver: false, remaining: 10 })
  })

  test("starts again when the clock goes back", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 20, START)
    expect(buckets.take(MINUTE, "a", START - 60_000)).toMatchObject({ isOver: false, remaining: 9 })
  })

  test("is refused while it is blocked, and for no longer than a window", () => {
    const buckets = new Buckets(100)
    buckets.block(MINUTE, "a", START, 5_000)
    expect(buckets.take(MINUTE, "a", START + 1_000)).toMatchObject({ isOver: true, remaining: 0, resetMs: 4_000 })
    expect(buckets.take(MINUTE, "a", START + 5_000).isOver).toBe(false)
    buckets.block(MINUTE, "a", START + 6_000, 86_400_000)
    expect(buckets.take(MINUTE, "a", START + 66_000).isOver).toBe(false)
  })
})

test("reading counts nothing and adds no key", () => {
  const buckets = new Buckets(100)
  for (let index = 0; index < 50; index++) buckets.read(MINUTE, `key${index}`, START)
  expect(buckets.size).toBe(0)
  expect(buckets.read(MINUTE, "a", START)).toMatchObject({ isOver: false, remaining: 10, resetMs: 60_000 })
})

test("charges above the limit are counted and lengthen the wait", () => {
  const buckets = new Buckets(100)
  for (let index = 0; index < 40; index++) buckets.charge(MINUTE, "a", START)
  const { isOver, resetMs } = buckets.read(MINUTE, "a", START)
  expect([isOver, resetMs]).toEqual([true, 60_000 + 45_001])
})

test("a million keys stay within the bound, and a key that floods is not dropped for them", () => {
  const buckets = new Buckets(1_000)
  takeMany(buckets, 10, START, "flood")
  for (let index = 0; index < 1_000_000; index++) {
    buckets.charge(MINUTE, `key${index}`, START)
    if (index % 500 === 0) expect(buckets.take(MINUTE, "flood", START).isOver).toBe(true)
  }
  expect(buckets.size).toBe(1_000)
})

test("whatever the traffic: never more in any window than twice the limit, and the reported wait is exact", () => {
  const traffic = fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.boolean()), { maxLength: 200 })
  fc.assert(
    fc.property(traffic, fc.integer({ min: 1, max: 20 }), (steps, max) => {
      const limit = { ...MINUTE, max }
      const buckets = new Buckets(10)
      const allowed: number[] = []
      let nowMs = START
      for (const [waitMs, isCharge] of steps) {
        nowMs += waitMs
        if (isCharge) {
          if (!buckets.take(limit, "a", nowMs).isOver) allowed.push(nowMs)
        } else {
          const { isOver, resetMs } = buckets.read(limit, "a", nowMs)
          expect(resetMs).toBeGreaterThan(0)
          expect(resetMs).toBeLessThanOrEqual(2 * limit.windowMs)
          if (isOver) {
            // The status is over as long as one more exceeds the limit, and not from `resetMs` on.
            expect(buckets.read(limit, "a", nowMs + Math.floor(resetMs / 2)).isOver || resetMs < 4).toBe(true)
            expect(buckets.read(limit, "a", nowMs + resetMs).isOver).toBe(false)
            nowMs += resetMs
          }
        }
      }
      for (const from of allowed) {
        const within = allowed.filter((at) => at >= from && at < from + limit.windowMs).length
        expect(within).toBeLessThanOrEqual(2 * max)
      }
    }),
    { numRuns: 300 },
  )
})

test("a bounded map drops the entry that was set longest ago", () => {
  const map = new BoundedMap<string, number>(3)
  for (const [index, key] of ["a", "b", "a", "c", "d"].entries()) map.set(key, index)
  expect([...map]).toEqual([
    ["a", 2],
    ["c", 3],
    ["d", 4],
  ])
  expect(map instanceof Map).toBe(true)
})
