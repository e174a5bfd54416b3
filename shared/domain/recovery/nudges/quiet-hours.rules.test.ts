import { expect, test } from "vitest"
import { on } from "../../../../test/support/events/facts.ts"
import { isQuiet, nextAllowed } from "./quiet-hours.ts"

const NIGHT = { start: "21:00", end: "08:00" }

test("quiet hours begin with their start and are over at their end", () => {
  expect(isQuiet(on(0, "20:59:59"), NIGHT, "UTC")).toBe(false)
  expect(isQuiet(on(0, "21:00:00"), NIGHT, "UTC")).toBe(true)
  expect(isQuiet(on(0, "07:59:59"), NIGHT, "UTC")).toBe(true)
  expect(isQuiet(on(0, "08:00:00"), NIGHT, "UTC")).toBe(false)
})

test.each(["21", "121:00", "21:000", "24:00", "21:60"])("%s is no time of quiet hours", (start) => {
  expect(() => isQuiet(on(0), { start, end: "08:00" }, "UTC")).toThrow(RangeError)
})

test("without quiet hours every moment is allowed", () => {
  expect(nextAllowed(on(0, "23:00:00"), null, "UTC")).toBe(on(0, "23:00:00"))
})

test("on the last of a month, the wall clock of a zone that is in the next one counts", () => {
  expect(isQuiet("2026-01-31T20:30:00.000Z", NIGHT, "Europe/Berlin")).toBe(true)
  expect(nextAllowed("2026-01-31T20:30:00.000Z", NIGHT, "Europe/Berlin")).toBe("2026-02-01T07:00:00.000Z")
})
