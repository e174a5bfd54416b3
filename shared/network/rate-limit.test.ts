import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { BoundedMap, Buckets, type Limit } from "./rate-limit.ts"

const MINUTE: Limit = { name: "test", max: 10, windowMs: 60_000 }
const START = Date.parse("2026-03-01T10:00:00Z")

const takeMany = (buckets: Buckets, count: number, nowMs: number, key = "a") =>
  Array.from({ length: count }, () => buckets.take(MINUTE, key, nowMs))

describe("a key", () => {
  test("passes as often as its limit says, then is told when it passes again", () => {
    const buckets = new Buckets(100)
    const readings = takeMany(buckets, 12, START)
    expect(readings.map(({ isOver }) => isOver)).toEqual([...Array(10).fill(false), true, true])
    expect(readings.map(({ remaining }) => remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0])
    expect(readings[11]?.resetMs).toBe(60_001)
    expect(buckets.take(MINUTE, "a", START + 60_001).isOver).toBe(false)
  })

  test("does not hear of the others", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 11, START)
    expect(buckets.take(MINUTE, "b", START).remaining).toBe(9)
    expect(buckets.take({ ...MINUTE, name: "other" }, "a", START).remaining).toBe(9)
  })

  test("cannot pass twice as often around the end of a window", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 10, START + 59_999)
    const after = takeMany(buckets, 10, START + 60_001)
    expect(after.filter(({ isOver }) => !isOver)).toHaveLength(1)
  })

  test("has all of it again after two quiet windows", () => {
    const buckets = new Buckets(100)
    takeMany(buckets, 10, START)
    expect(buckets.read(MINUTE, "a", START + 120_000)).toMatchObject({ isOver: false, remaining: 10 })
  })

  test("starts anew when the clock goes back", () => {
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

test("reading counts nothing and remembers nobody", () => {
  const buckets = new Buckets(100)
  for (let index = 0; index < 50; index++) buckets.read(MINUTE, `key${index}`, START)
  expect(buckets.size).toBe(0)
  expect(buckets.read(MINUTE, "a", START)).toMatchObject({ isOver: false, remaining: 10, resetMs: 60_000 })
})

test("what has happened is counted past the limit, and is waited for the longer", () => {
  const buckets = new Buckets(100)
  for (let index = 0; index < 40; index++) buckets.charge(MINUTE, "a", START)
  const { isOver, resetMs } = buckets.read(MINUTE, "a", START)
  expect([isOver, resetMs]).toEqual([true, 60_000 + 45_001])
})

test("a million keys hold no more memory than the bound, and who floods is not forgotten for them", () => {
  const buckets = new Buckets(1_000)
  takeMany(buckets, 10, START, "flood")
  for (let index = 0; index < 1_000_000; index++) {
    buckets.charge(MINUTE, `key${index}`, START)
    if (index % 500 === 0) expect(buckets.take(MINUTE, "flood", START).isOver).toBe(true)
  }
  expect(buckets.size).toBe(1_000)
})

test("whatever the traffic: never more in any window than twice the limit, and the wait that is told is the wait", () => {
  const traffic = fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.boolean()), { maxLength: 200 })
  fc.assert(
    fc.property(traffic, fc.integer({ min: 1, max: 20 }), (steps, max) => {
      const limit = { ...MINUTE, max }
      const buckets = new Buckets(10)
      const passed: number[] = []
      let nowMs = START
      for (const [waitMs, isCharge] of steps) {
        nowMs += waitMs
        if (isCharge) {
          if (!buckets.take(limit, "a", nowMs).isOver) passed.push(nowMs)
        } else {
          const { isOver, resetMs } = buckets.read(limit, "a", nowMs)
          expect(resetMs).toBeGreaterThan(0)
          expect(resetMs).toBeLessThanOrEqual(2 * limit.windowMs)
          if (isOver) {
            // As long as one more is too many, the reading says so; from the moment it names, one more passes.
            expect(buckets.read(limit, "a", nowMs + Math.floor(resetMs / 2)).isOver || resetMs < 4).toBe(true)
            expect(buckets.read(limit, "a", nowMs + resetMs).isOver).toBe(false)
            nowMs += resetMs
          }
        }
      }
      for (const from of passed) {
        const within = passed.filter((at) => at >= from && at < from + limit.windowMs).length
        expect(within).toBeLessThanOrEqual(2 * max)
      }
    }),
    { numRuns: 300 },
  )
})

test("a bounded map forgets what was set longest ago", () => {
  const map = new BoundedMap<string, number>(3)
  for (const [index, key] of ["a", "b", "a", "c", "d"].entries()) map.set(key, index)
  expect([...map]).toEqual([
    ["a", 2],
    ["c", 3],
    ["d", 4],
  ])
  expect(map instanceof Map).toBe(true)
})
