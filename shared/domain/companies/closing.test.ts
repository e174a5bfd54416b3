import { expect, test } from "vitest"
import { acceptsDeliveries, HELD_DAYS_AFTER_CLOSING } from "./closing.ts"

const CLOSED = new Date("2026-10-05T12:00:00.000Z")
const after = (ms: number) => new Date(CLOSED.getTime() + ms)
const HELD_MS = HELD_DAYS_AFTER_CLOSING * 86_400_000

test.each([
  ["an open company", null, CLOSED, true],
  ["a company at its closing", CLOSED, CLOSED, true],
  ["a company a moment before the month is over", CLOSED, after(HELD_MS - 1), true],
  ["a company a month later", CLOSED, after(HELD_MS), false],
])("%s", (_, closedAt, now, accepts) => {
  expect(acceptsDeliveries(closedAt, now)).toBe(accepts)
})
