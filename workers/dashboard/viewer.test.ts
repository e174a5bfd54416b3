import { expect, test } from "vitest"
import { offsetHours, type Viewer } from "./viewer.ts"

test.each([
  ["UTC", "2026-11-30T12:00:00Z", 0],
  ["Europe/Berlin", "2026-11-30T12:00:00Z", 1],
  ["Europe/Berlin", "2026-07-01T12:00:00Z", 2],
  ["America/New_York", "2026-11-30T12:00:00Z", -5],
  ["Asia/Kolkata", "2026-11-30T12:00:00Z", 6],
])("%s is ahead of UTC at %s by %i hours", (timeZone, at, hours) => {
  expect(offsetHours({ timeZone } as Viewer, new Date(at))).toBe(hours)
})
