import { describe, expect, onTestFinished, test, vi } from "vitest"
import { isQuiet, isTimeZone, nextAllowed } from "./quiet-hours.ts"

const NIGHT = { start: "21:00", end: "08:00" }

describe("the next allowed moment", () => {
  test("waits for the real end of the night when 02:30 is missing", () => {
    // Berlin, 29 March 2026: 02:00 becomes 03:00. Quiet until 02:30 ends with the jump, at 03:00 summer time.
    expect(nextAllowed("2026-03-29T00:15:00.000Z", { start: "22:00", end: "02:30" }, "Europe/Berlin")).toBe(
      "2026-03-29T01:00:00.000Z",
    )
  })

  test("may fall into the first of two equal hours, never into a quiet one", () => {
    // Berlin, 25 October 2026: 02:00–03:00 happens twice; quiet until 02:30 ends at the first 02:30.
    expect(nextAllowed("2026-10-24T23:00:00.000Z", { start: "22:00", end: "02:30" }, "Europe/Berlin")).toBe(
      "2026-10-25T00:30:00.000Z",
    )
    // … and the second 02:10 is quiet again.
    expect(nextAllowed("2026-10-25T01:10:00.000Z", { start: "22:00", end: "02:30" }, "Europe/Berlin")).toBe(
      "2026-10-25T01:30:00.000Z",
    )
  })

  test("is after the repeated hour when quiet hours end as the clocks go back", () => {
    // Berlin, 25 October 2026: at 03:00 it is 02:00 again, which is quiet.
    expect(nextAllowed("2026-10-24T23:00:00.000Z", { start: "22:00", end: "03:00" }, "Europe/Berlin")).toBe(
      "2026-10-25T02:00:00.000Z",
    )
  })

  test("is the same moment when there are no quiet hours", () => {
    const at = "2026-06-01T23:00:00.123Z"
    expect(nextAllowed(at, null, "Europe/Berlin")).toBe(at)
    expect(nextAllowed(at, { start: "08:00", end: "08:00" }, "Europe/Berlin")).toBe(at)
    expect(isQuiet(at, null, "Europe/Berlin")).toBe(false)
  })

  test("counts the first minute of quiet hours as quiet and their end as allowed", () => {
    expect(isQuiet("2026-06-01T21:00:00.000Z", NIGHT, "UTC")).toBe(true)
    expect(isQuiet("2026-06-01T20:59:59.999Z", NIGHT, "UTC")).toBe(false)
    expect(isQuiet("2026-06-02T07:59:59.999Z", NIGHT, "UTC")).toBe(true)
    expect(isQuiet("2026-06-02T08:00:00.000Z", NIGHT, "UTC")).toBe(false)
  })

  test("reads an unknown zone as UTC, and refuses a malformed time", () => {
    expect(nextAllowed("2026-06-01T22:00:00.000Z", NIGHT, "Mars/Olympus")).toBe("2026-06-02T08:00:00.000Z")
    expect(() => isQuiet("2026-06-01T22:00:00.000Z", { start: "9pm", end: "08:00" }, "UTC")).toThrow(RangeError)
    expect(() => isQuiet("2026-06-01T22:00:00.000Z", { start: "00:00", end: "24:00" }, "UTC")).toThrow(RangeError)
  })
})

describe("the formatters, each slow to create,", () => {
  const zones = Intl.supportedValuesOf("timeZone").slice(0, 301)
  const [oldest = "", ...kept] = zones.slice(-101)

  test("of the last hundred zones are kept, and no more; an unknown zone takes no place", () => {
    const made = vi.spyOn(Intl, "DateTimeFormat")
    onTestFinished(() => made.mockRestore())
    for (const zone of zones) isTimeZone(zone)
    made.mockClear()
    isTimeZone("Mars/Olympus")
    expect(made).toHaveBeenCalledTimes(1)
    for (const zone of kept) isTimeZone(zone)
    expect(made).toHaveBeenCalledTimes(1)
    isTimeZone(oldest)
    expect(made).toHaveBeenCalledTimes(2)
    isTimeZone("x".repeat(65))
    expect(made).toHaveBeenCalledTimes(2)
  })
})

describe("a time zone", () => {
  test.each(["Europe/Berlin", "UTC", "America/Argentina/ComodRivadavia", "Asia/Kathmandu"])("%s is one", (name) => {
    expect(isTimeZone(name)).toBe(true)
  })

  test.each(["", "+05:00", "Mars/Olympus", "Europe/Berlin\n", "__proto__", "x".repeat(10_000)])(
    "%j is none",
    (name) => {
      expect(isTimeZone(name)).toBe(false)
    },
  )

  test("may be any of all that the runtime knows, more than are kept at once", () => {
    const zones = Intl.supportedValuesOf("timeZone")
    expect(zones.length).toBeGreaterThan(300)
    for (const zone of zones) {
      const next = nextAllowed("2026-11-01T02:34:56.789Z", NIGHT, zone)
      expect(isQuiet(next, NIGHT, zone)).toBe(false)
    }
  })
})
