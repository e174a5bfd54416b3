/**
 * Quiet hours in the recipient's time zone. Computed from the zone's offsets, so that it is exact across a clock change:
 * for a skipped or repeated hour, the local time counts.
 */
import type { Instant } from "../../facts.ts"

/** The part of the day without messages: from `start` to before `end`, possibly over midnight. Both are HH:MM. */
export interface QuietHours {
  readonly start: string
  readonly end: string
}

const MINUTE_MS = 60_000
const DAY_MS = 1_440 * MINUTE_MS
/** No zone has two clock changes within this time, which is longer than any quiet hours. */
const LOOKAHEAD_MS = 26 * 60 * MINUTE_MS
/** A wait of a day crosses at most two clock changes; the rest is a guard against invalid zone data. */
const SEGMENTS_MAX = 8
/** A formatter takes some kilobytes and about 50 µs to create; a deployment's customers are in few zones. */
const FORMATTERS_MAX = 100
/** The longest IANA name has 32 characters. */
const ZONE_NAME_MAX = 64

const formatters = new Map<string, Intl.DateTimeFormat>()

function makeFormatter(timeZone: string): Intl.DateTimeFormat | null {
  // Newer engines also accept offsets such as "+05:00", which have no clock changes.
  if (timeZone.length > ZONE_NAME_MAX || !/^[A-Za-z]/.test(timeZone)) return null
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    })
  } catch {
    return null // RangeError: not a zone
  }
}

function formatterFor(timeZone: string): Intl.DateTimeFormat | null {
  const cached = formatters.get(timeZone)
  if (cached) return cached
  const made = makeFormatter(timeZone)
  if (!made) return null
  if (formatters.size >= FORMATTERS_MAX) {
    for (const oldest of formatters.keys()) {
      formatters.delete(oldest)
      break
    }
  }
  formatters.set(timeZone, made)
  return made
}

/** Whether `name` is an IANA time zone that this runtime knows, such as `Europe/Berlin` or `UTC`. */
export const isTimeZone = (name: string): boolean => formatterFor(name) !== null

/** Local time minus UTC at that moment; zero for an unknown zone. */
function offsetMs(atMs: number, timeZone: string): number {
  const formatter = formatterFor(timeZone)
  if (!formatter) return 0
  const field: Record<string, number> = {}
  for (const part of formatter.formatToParts(atMs)) field[part.type] = Number(part.value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = field
  const wholeSecondMs = Math.floor(atMs / 1_000) * 1_000
  return Date.UTC(year, month - 1, day, hour, minute, second) - wholeSecondMs
}

/** The first moment after `fromMs` and up to `untilMs` with another offset than `before`, that of `fromMs`; null: there is none. */
function nextChange(fromMs: number, before: number, untilMs: number, timeZone: string): number | null {
  if (offsetMs(untilMs, timeZone) === before) return null
  let low = fromMs
  let high = untilMs
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetMs(middle, timeZone) === before) low = middle
    else high = middle
  }
  return high
}

function timeOfDayMs(text: string): number {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text)
  if (!match) throw new RangeError("a time of quiet hours must be written HH:MM")
  return (Number(match[1]) * 60 + Number(match[2])) * MINUTE_MS
}

const mod = (value: number, by: number): number => ((value % by) + by) % by

/** How long the quiet hours last from this local time; 0 outside of them. */
function remainingQuietMs(localMs: number, quiet: QuietHours): number {
  const start = timeOfDayMs(quiet.start)
  const end = timeOfDayMs(quiet.end)
  const sinceStart = mod(localMs - start, DAY_MS)
  const length = mod(end - start, DAY_MS)
  return Math.max(0, length - sinceStart)
}

/** Whether the local time of that zone is in the quiet hours. `start` equal to `end`: there are none. */
export function isQuiet(at: Instant, quiet: QuietHours | null, timeZone: string): boolean {
  if (quiet === null) return false
  const atMs = Date.parse(at)
  return remainingQuietMs(atMs + offsetMs(atMs, timeZone), quiet) > 0
}

/**
 * The earliest moment from `at` on that is outside the quiet hours of that zone; may be `at` itself. An unknown zone counts
 * as UTC: check `isTimeZone` first where there is a better default.
 */
export function nextAllowed(at: Instant, quiet: QuietHours | null, timeZone: string): Instant {
  if (!isQuiet(at, quiet, timeZone) || quiet === null) return at
  let nowMs = Date.parse(at)
  for (let segment = 0; segment < SEGMENTS_MAX; segment++) {
    const offset = offsetMs(nowMs, timeZone)
    const waitMs = remainingQuietMs(nowMs + offset, quiet)
    const changeMs = nextChange(nowMs, offset, nowMs + LOOKAHEAD_MS, timeZone)
    if (changeMs === null || nowMs + waitMs < changeMs) return new Date(nowMs + waitMs).toISOString()
    nowMs = changeMs
  }
  throw new Error("the zone's clocks change too often to find an allowed moment")
}
