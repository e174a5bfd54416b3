/** Quiet hours around every clock change, compared with another formatter. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { nextAllowed } from "./quiet-hours.ts"

const MINUTE_MS = 60_000
const NIGHT = { start: "21:00", end: "08:00" }

/** Zones with whole, half and quarter hours, both hemispheres, a half-hour change (Lord Howe) and midnight changes. */
const ZONES = [
  "UTC",
  "America/New_York",
  "America/St_Johns",
  "America/Sao_Paulo",
  "America/Havana",
  "America/Santiago",
  "America/Asuncion",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Asia/Beirut",
  "Asia/Kathmandu",
  "Asia/Kolkata",
  "Asia/Tehran",
  "Atlantic/Azores",
  "Australia/Adelaide",
  "Australia/Lord_Howe",
  "Europe/Berlin",
  "Europe/Dublin",
  "Pacific/Apia",
  "Pacific/Chatham",
]

/** The wall clock as an independent formatter shows it, in minutes of the day. */
const clocks = new Map(
  ZONES.map((zone) => [zone, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, hour: "2-digit", minute: "2-digit" })]),
)
function wallMinutes(atMs: number, zone: string): number {
  const [hours, minutes] = (clocks.get(zone)?.format(atMs) ?? "").split(":").map(Number)
  return (hours ?? Number.NaN) * 60 + (minutes ?? Number.NaN)
}

const minutesOf = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))

function shownQuiet(atMs: number, quiet: { start: string; end: string }, zone: string): boolean {
  const start = minutesOf(quiet.start)
  const end = minutesOf(quiet.end)
  const wall = wallMinutes(atMs, zone)
  return start <= end ? wall >= start && wall < end : wall >= start || wall < end
}

/** Days on which the clocks of a zone change, found by comparing noon to noon. */
function changeDays(zone: string, year: number): number[] {
  const noons = Array.from({ length: 366 }, (_, day) => Date.UTC(year, 0, 1 + day, 12))
  return noons.filter((noon) => wallMinutes(noon, zone) !== wallMinutes(noon + 24 * 60 * MINUTE_MS, zone))
}

const CHANGES = ZONES.flatMap((zone) =>
  [2019, 2024, 2026, 2027].flatMap((year) => changeDays(zone, year).map((day) => ({ zone, day }))),
)
const WINDOWS = [
  NIGHT,
  { start: "00:00", end: "07:30" },
  { start: "02:30", end: "02:15" },
  { start: "01:00", end: "03:00" },
]

describe("the next allowed moment", () => {
  test("is outside quiet hours, not before, and stable, at each half hour around every clock change", () => {
    expect(CHANGES.length).toBeGreaterThan(80)
    for (const { zone, day } of CHANGES) {
      for (const quiet of WINDOWS) {
        for (let half = 0; half < 48; half++) {
          const atMs = day + half * 30 * MINUTE_MS
          const at = new Date(atMs).toISOString()
          const next = nextAllowed(at, quiet, zone)
          const nextMs = Date.parse(next)
          const where = `${zone} ${at} ${quiet.start}-${quiet.end} → ${next}`
          if (shownQuiet(nextMs, quiet, zone)) expect.fail(`quiet: ${where}`)
          if (nextMs < atMs || nextMs - atMs > 48 * 60 * MINUTE_MS) expect.fail(`not in reach: ${where}`)
          if (nextMs > atMs && !shownQuiet(nextMs - 1, quiet, zone)) expect.fail(`a moment earlier would do: ${where}`)
          if (nextAllowed(next, quiet, zone) !== next) expect.fail(`moves again: ${where}`)
        }
      }
    }
  })

  test("is the earliest one, to the minute, for any moment and any quiet hours", () => {
    const time = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
      .map((parts) => parts.map((part) => String(part).padStart(2, "0")).join(":"))
    const nearChange = fc
      .tuple(fc.constantFrom(...CHANGES), fc.integer({ min: 0, max: 2 * 24 * 60 * MINUTE_MS }))
      .map(([{ zone, day }, plus]) => ({ zone, atMs: day - 24 * 60 * MINUTE_MS + plus }))
    fc.assert(
      fc.property(nearChange, time, time, ({ zone, atMs }, start, end) => {
        const quiet = { start, end }
        const nextMs = Date.parse(nextAllowed(new Date(atMs).toISOString(), quiet, zone))
        expect(nextMs).toBeGreaterThanOrEqual(atMs)
        if (start !== end) expect(shownQuiet(nextMs, quiet, zone)).toBe(false)
        for (let tryMs = atMs; tryMs < nextMs; tryMs += 7 * MINUTE_MS) expect(shownQuiet(tryMs, quiet, zone)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
