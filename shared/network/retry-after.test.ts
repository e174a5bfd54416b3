import { expect, test } from "vitest"
import { retryAfterMs } from "./retry-after.ts"

const HOUR_MS = 3_600_000
const NOON = "Wed, 01 Jul 2026 12:00:00 GMT"

test.each([
  ["7", 7_000],
  ["0", 0],
  [" 30 ", 30_000],
  ["99999999", HOUR_MS],
  ["Wed, 01 Jul 2026 12:00:30 GMT", 30_000],
  ["Wed, 01 Jul 2026 11:00:00 GMT", 0],
  ["Wed, 01 Jul 2037 11:00:00 GMT", HOUR_MS],
])("%j is a wait of %i ms", (value, ms) => {
  expect(retryAfterMs(new Headers({ "retry-after": value, date: NOON }), HOUR_MS)).toBe(ms)
})

test.each(["", "-5", "1.5", "soon", "1e3", "0x10", "9999999999", "2026-07-01T12:00:30Z", "Wed, 1 Jul 2026 12:00 GMT"])(
  "%j is no valid wait",
  (value) => {
    expect(retryAfterMs(new Headers({ "retry-after": value, date: NOON }), HOUR_MS)).toBeNull()
  },
)

test("a date without the answer's own `Date` gives no wait, and neither does a missing header", () => {
  expect(retryAfterMs(new Headers({ "retry-after": NOON }), HOUR_MS)).toBeNull()
  expect(retryAfterMs(new Headers(), HOUR_MS)).toBeNull()
})
