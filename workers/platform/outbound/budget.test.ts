import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { NotSent, notSentOf } from "../../../shared/network/outbound-fetch.ts"
import { createBudget } from "./budget.ts"

test("calls are counted up to the limit, and the next is refused before it is made", () => {
  const budget = createBudget(3)
  for (let call = 0; call < 3; call++) budget.spend()
  expect(() => budget.spend()).toThrow(NotSent)
  expect(budget.spent()).toBe(3)
})

describe("a reservation", () => {
  test("is not available to others", () => {
    const budget = createBudget(10)
    const hold = budget.reserve(8)
    expect(budget.room()).toBe(2)
    expect(budget.reserve(3)).toBeNull()
    hold?.keep(5)
    expect(budget.room()).toBe(5)
    hold?.keep(9)
    expect(budget.room()).toBe(5)
    hold?.release()
    hold?.release()
    expect(budget.room()).toBe(10)
  })

  test("can be taken up to its size", () => {
    const budget = createBudget(10)
    const hold = budget.reserve(3)
    expect([hold?.take(2), hold?.take(2), budget.room()]).toEqual([true, false, 9])
  })
})

test("calls that are set aside can be made when they are returned, and not before", () => {
  const budget = createBudget(3)
  const hold = budget.reserve(1)
  const allow = budget.setAside(1)
  expect(budget.room()).toBe(1)
  hold?.release()
  budget.spend()
  budget.spend()
  expect(() => budget.spend()).toThrow(NotSent)
  allow()
  allow()
  budget.spend()
  expect(() => budget.spend()).toThrow(NotSent)
  budget.setAside(1)()
  expect([budget.room(), budget.spent()]).toEqual([0, 3])
})

test("for any order of reserve, keep, take and release: no call beyond the limit, and no false room", () => {
  const step = fc.oneof(
    fc.constant({ act: "spend" } as const),
    fc.record({ act: fc.constantFrom("hold" as const), count: fc.nat(12) }),
    fc.record({ act: fc.constantFrom("keep" as const, "take" as const), which: fc.nat(5), count: fc.nat(12) }),
    fc.record({ act: fc.constantFrom("release" as const), which: fc.nat(5) }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.array(step, { maxLength: 80 }), (max, steps) => {
      const budget = createBudget(max)
      const holds: NonNullable<ReturnType<typeof budget.reserve>>[] = []
      let made = 0
      for (const one of steps) {
        const before = budget.room()
        if (one.act === "spend") {
          try {
            budget.spend()
            made += 1
          } catch (error) {
            expect(error).toBeInstanceOf(NotSent)
            expect(made).toBe(max)
          }
        } else if (one.act === "hold") {
          const hold = budget.reserve(one.count)
          expect(hold === null).toBe(before < one.count)
          if (hold) holds.push(hold)
        } else if (one.act === "release") holds[one.which]?.release()
        else holds[one.which]?.[one.act](one.count)
        expect(budget.room()).toBeLessThanOrEqual(max - made)
        expect(budget.room()).toBeGreaterThanOrEqual(0)
      }
      for (const hold of holds) hold.release()
      expect([budget.spent(), budget.room()]).toEqual([made, max - made])
    }),
  )
})

test("NotSent is recognised as the cause of any other error", () => {
  const notSent = new NotSent("budget_spent", null)
  const byDriver = Object.assign(new Error("Error connecting to database"), { sourceError: notSent })
  const byStripe = Object.assign(new Error("An error occurred"), { detail: notSent })
  for (const error of [notSent, byDriver, byStripe, new Error("query", { cause: byDriver })]) {
    expect(notSentOf(error)).toBe(notSent)
  }
  const loop = new Error("own cause")
  loop.cause = loop
  for (const error of [new Error("away"), loop, null, "text", { cause: notSent }]) expect(notSentOf(error)).toBeNull()
})
