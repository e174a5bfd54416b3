import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { createClock, parseDurationMs } from "./clock.ts"

const HOUR_MS = 3_600_000

test.each([
  ["P2D", 48 * HOUR_MS],
  ["PT5M", HOUR_MS / 12],
  ["P1W", 7 * 24 * HOUR_MS],
  ["P1DT2H", 26 * HOUR_MS],
  ["PT1H30M15S", 1.5 * HOUR_MS + 15_000],
  ["PT0.5S", 500],
  ["PT0S", 0],
])("%s is %d ms", (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms)
})

test.each([
  "",
  "P",
  "PT",
  "P1DT",
  "-P1D",
  "P-1D",
  "P1Y",
  "P1M",
  "1D",
  "P1D ",
  "PT1D",
  "P1.5D",
  "PT1S2M",
  "2 days",
  "P99999D",
])("%j is refused", (text) => {
  expect(() => parseDurationMs(text)).toThrow(/duration|longer/)
})

test("the clock runs, and stays ahead by its offset", () => {
  let real = 1_000
  const clock = createClock({ realNow: () => real })
  clock.advance("PT1S")
  real += 10
  expect(clock.now().getTime()).toBe(2_010)
})

test("it goes back only by a reset", () => {
  const clock = createClock({ realNow: () => 5_000 })
  clock.advanceTo(new Date(4_000))
  expect(clock.offsetMs()).toBe(0)
  clock.advanceTo(new Date(9_000))
  clock.advanceTo(new Date(8_000))
  expect(clock.now().getTime()).toBe(9_000)
  clock.reset()
  expect(clock.now().getTime()).toBe(5_000)
})

test.each([
  ["2026-03-01T08:00:00Z", "2026-03-01T10:30:00.000Z"],
  ["2026-03-01T23:59:59Z", "2026-03-02T10:30:00.000Z"],
])("with a start time it starts at the next one, and continues from there after a reset: %s", (at, start) => {
  let real = Date.parse(at)
  const clock = createClock({ startTime: "10:30:00", realNow: () => real })
  expect(clock.now().toISOString()).toBe(start)
  clock.advance("P3D")
  real += 60_000
  clock.reset()
  expect(clock.now().getTime() - Date.parse(start)).toBe(60_000)
  clock.reset(1_000)
  expect(clock.now().getTime() - Date.parse(start)).toBe(61_000)
})

test("a restart continues at the same time", () => {
  const file = join(mkdtempSync(join(tmpdir(), "clock-")), "clock.json")
  createClock({ file }).advance("P3D")
  expect(createClock({ file }).offsetMs()).toBe(72 * HOUR_MS)
})
