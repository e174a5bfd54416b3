import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** The time of the local world: real time plus an offset that only grows. */
export type VirtualClock = {
  now(): Date
  /** How far ahead of real time the world is. */
  offsetMs(): number
  /** Moves forward to `instant`; a past instant changes nothing. */
  advanceTo(instant: Date): void
  /** Moves forward by an ISO 8601 duration such as `P2D` or `PT5M`. Throws `DurationError` for an invalid one. */
  advance(duration: string): void
  /** Back to the offset of the start, or so far ahead of it. */
  reset(aheadMs?: number): void
  /** Calls `listener` after every move, so that timers based on the old time can be set again. */
  onMove(listener: () => void): void
}

/** The text is not a duration that the clock can be moved by. */
export class DurationError extends Error {}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Years and months are refused below: their length depends on the day they start from. */
const DURATION =
  /^P(?:(?<weeks>\d+)W)?(?:(?<days>\d+)D)?(?:T(?:(?<hours>\d+)H)?(?:(?<minutes>\d+)M)?(?:(?<seconds>\d+(?:[.,]\d{1,3})?)S)?)?$/

/** Ten years: beyond it a certificate, a cursor or a partition would fail for reasons unrelated to any test. */
const DURATION_DAYS_MAX = 3_660

/**
 * The milliseconds of an ISO 8601 duration of weeks, days, hours, minutes and seconds. Throws `DurationError` for
 * anything else: a negative one, one without parts, one with years or months.
 */
export function parseDurationMs(text: string): number {
  const parts = DURATION.exec(text)?.groups
  if (!parts || text.endsWith("P") || text.endsWith("T")) {
    throw new DurationError(`"${text}" is not a duration such as P2D, PT5M, P1W or P1DT2H`)
  }
  const count = (part: string | undefined): number => Number((part ?? "0").replace(",", "."))
  const ms =
    count(parts.weeks) * 7 * DAY_MS +
    count(parts.days) * DAY_MS +
    count(parts.hours) * HOUR_MS +
    count(parts.minutes) * MINUTE_MS +
    Math.round(count(parts.seconds) * SECOND_MS)
  if (ms > DURATION_DAYS_MAX * DAY_MS) throw new DurationError(`"${text}" is longer than ${DURATION_DAYS_MAX} days`)
  return ms
}

/**
 * Creates a clock. With `file` the offset is read from it and written at every move, so that a restarted world
 * continues at its own time. With `startTime`, a time of day in UTC as "10:30:00", it starts at the next one, and a reset
 * goes back to what has passed since then. `realNow` is for tests.
 */
export function createClock({
  file,
  startTime,
  realNow = Date.now,
}: {
  readonly file?: string | undefined
  readonly startTime?: string | undefined
  readonly realNow?: () => number
} = {}): VirtualClock {
  const startOffsetMs = startTime === undefined ? 0 : msUntil(startTime, realNow())
  let offsetMs = (file ? readOffset(file) : null) ?? startOffsetMs
  const listeners: (() => void)[] = []

  function moveTo(nextOffsetMs: number): void {
    offsetMs = nextOffsetMs
    if (file) writeOffset(file, offsetMs)
    for (const listener of listeners) listener()
  }

  const now = (): Date => new Date(realNow() + offsetMs)

  return {
    now,
    offsetMs: () => offsetMs,
    advanceTo(instant) {
      const aheadMs = instant.getTime() - now().getTime()
      if (aheadMs > 0) moveTo(offsetMs + aheadMs)
    },
    advance(duration) {
      const ms = parseDurationMs(duration)
      if (ms > 0) moveTo(offsetMs + ms)
    },
    reset: (aheadMs = 0) => moveTo(startOffsetMs + aheadMs),
    onMove: (listener) => void listeners.push(listener),
  }
}

/** The milliseconds from `nowMs` until the next time of day like this. */
function msUntil(timeOfDay: string, nowMs: number): number {
  const today = new Date(nowMs).toISOString().slice(0, 10)
  const ms = Date.parse(`${today}T${timeOfDay}Z`) - nowMs
  return ms < 0 ? ms + DAY_MS : ms
}

function readOffset(file: string): number | null {
  if (!existsSync(file)) return null
  const saved: unknown = JSON.parse(readFileSync(file, "utf8"))
  const offsetMs = typeof saved === "object" && saved !== null && "offsetMs" in saved ? saved.offsetMs : undefined
  if (typeof offsetMs !== "number" || !Number.isFinite(offsetMs)) throw new Error(`${file} contains no clock offset`)
  return offsetMs
}

function writeOffset(file: string, offsetMs: number): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify({ offsetMs }))
  renameSync(`${file}.new`, file) // atomic
}
