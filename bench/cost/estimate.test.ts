import { expect, test } from "vitest"
import { readCounts } from "./counts.ts"
import { billOf, computeUnits, DEFAULT_WORKLOAD, eventsByKind, operationsOfMonth } from "./estimate.ts"
import { limitsOf } from "./limits.ts"
import { NEON } from "./prices.ts"

const counts = readCounts()
const workload = (eventsPerMonth: number, customers: number) => ({ ...DEFAULT_WORKLOAD, eventsPerMonth, customers })
const small = workload(1e6, 1e5)
const large = workload(1e9, 1e7)
const totalOf = (work: typeof small): number => billOf(work, counts).reduce((sum, { dollars }) => sum + dollars, 0)

test("the kinds of events add up to all events", () => {
  for (const work of [small, large, workload(10, 1e9)]) {
    const { known, new: fresh, failed } = eventsByKind(work)
    expect(known + fresh + failed).toBeCloseTo(work.eventsPerMonth, 6)
    expect(Math.min(known, fresh, failed)).toBeGreaterThanOrEqual(0)
  }
})

test("a month without events still pays the plan and the smallest compute that never sleeps", () => {
  const idle = workload(1, 1)
  expect(computeUnits(operationsOfMonth(idle, counts))).toBe(NEON.unitsMin)
  expect(totalOf(idle)).toBeGreaterThan(5 + NEON.unitsMin * 720 * NEON.launchPerUnitHour)
})

test("a larger load costs more, and an event of it less", () => {
  expect(totalOf(large)).toBeGreaterThan(totalOf(small))
  expect(totalOf(large) / large.eventsPerMonth).toBeLessThan(totalOf(small) / small.eventsPerMonth)
})

test("QStash is billed by the cheapest plan that takes the messages", () => {
  const messages = (events: number) =>
    billOf(workload(events, 1e5), counts).find(({ service }) => service === "Upstash QStash")
  expect(messages(1e6)?.what).toBe("messages, pay as you go")
  expect(messages(1e9)?.dollars).toBeLessThanOrEqual(420)
})

test("limits come in the order in which a growing load meets them", () => {
  const rates = limitsOf(small, counts).map(({ eventsPerSecond }) => eventsPerSecond ?? Infinity)
  expect(rates).toEqual(rates.toSorted((a, b) => a - b))
  expect(Math.min(...rates)).toBeGreaterThan(0)
})
