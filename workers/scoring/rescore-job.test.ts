import { expect, test } from "vitest"
import { scoringDate } from "./rescore-job.ts"

test.each([
  ["2026-03-02T02:59:59.999Z", "2026-03-01T03:00:00.000Z"],
  ["2026-03-02T03:00:00.000Z", "2026-03-02T03:00:00.000Z"],
  ["2026-03-02T23:59:59.999Z", "2026-03-02T03:00:00.000Z"],
  ["2026-01-01T00:20:00.000Z", "2025-12-31T03:00:00.000Z"],
])("the nightly scoring at %s started at %s", (now, startedAt) => {
  expect(scoringDate(new Date(now)).toISOString()).toBe(startedAt)
})
