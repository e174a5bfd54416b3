/** Five-field cron expressions, in UTC or in the zone of a leading `CRON_TZ=`. */

/** The expression is invalid. */
export class CronError extends Error {}

/** A parsed expression. */
export type Cron = {
  /** The first slot strictly after `instant`. */
  next(instant: Date): Date
}

type Field = { readonly values: ReadonlySet<number>; readonly isAny: boolean }

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** A day such as 29 February on a Monday occurs every 28 years. */
const SEARCH_YEARS_MAX = 29

/** Parses `CRON_TZ=<zone> minute hour day month weekday`. Throws `CronError` with the invalid field. */
export function parseCron(expression: string): Cron {
  const zoned = /^CRON_TZ=(\S+)\s+(.*)$/.exec(expression.trim())
  const local = localTimeIn(zoned?.[1] ?? "UTC")
  const fields = (zoned?.[2] ?? expression).trim().split(/\s+/)
  if (fields.length !== 5) throw new CronError(`cron "${expression}" needs five fields`)
  const [minuteText = "", hourText = "", dayText = "", monthText = "", weekdayText = ""] = fields
  const minute = parseField(minuteText, { name: "minute", min: 0, max: 59 })
  const hour = parseField(hourText, { name: "hour", min: 0, max: 23 })
  const day = parseField(dayText, { name: "day of month", min: 1, max: 31 })
  const month = parseField(monthText, { name: "month", min: 1, max: 12, names: MONTHS, namesFrom: 1 })
  const weekday = parseField(weekdayText, { name: "day of week", min: 0, max: 7, names: WEEKDAYS, namesFrom: 0 })

  function isDay(at: LocalTime): boolean {
    if (!month.values.has(at.month)) return false
    const onDay = day.values.has(at.day)
    const onWeekday = weekday.values.has(at.weekday) || (at.weekday === 0 && weekday.values.has(7))
    if (day.isAny || weekday.isAny) return onDay && onWeekday
    return onDay || onWeekday // cron's rule: with both day fields restricted, either may match
  }

  return {
    next(instant) {
      const end = instant.getTime() + SEARCH_YEARS_MAX * 366 * 24 * HOUR_MS
      let at = Math.floor(instant.getTime() / MINUTE_MS) * MINUTE_MS + MINUTE_MS
      while (at < end) {
        const time = local(at)
        // Skips at most to the next full hour, so that changes of summer time do no harm.
        if (!isDay(time) || !hour.values.has(time.hour)) at += (60 - time.minute) * MINUTE_MS
        else if (!minute.values.has(time.minute)) at += MINUTE_MS
        else return new Date(at)
      }
      throw new CronError(`cron "${expression}" never fires`)
    },
  }
}

type LocalTime = {
  readonly minute: number
  readonly hour: number
  readonly day: number
  readonly month: number
  readonly weekday: number
}

function localTimeIn(zone: string): (atMs: number) => LocalTime {
  if (zone === "UTC") {
    return (atMs) => {
      const at = new Date(atMs)
      return {
        minute: at.getUTCMinutes(),
        hour: at.getUTCHours(),
        day: at.getUTCDate(),
        month: at.getUTCMonth() + 1,
        weekday: at.getUTCDay(),
      }
    }
  }
  const format = zoneFormat(zone)
  return (atMs) => {
    const parts = Object.fromEntries(format.formatToParts(atMs).map((part) => [part.type, part.value]))
    return {
      minute: Number(parts.minute),
      hour: Number(parts.hour),
      day: Number(parts.day),
      month: Number(parts.month),
      weekday: WEEKDAYS.indexOf((parts.weekday ?? "").toLowerCase()),
    }
  }
}

function zoneFormat(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      minute: "numeric",
      hour: "numeric",
      day: "numeric",
      month: "numeric",
      weekday: "short",
    })
  } catch (cause) {
    throw new CronError(`cron zone "${timeZone}" is unknown`, { cause })
  }
}

type FieldRule = {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
  readonly namesFrom?: number
}

/** Lists of values, ranges and steps: `*`, `5`, `1-5`, steps of `15`, `10-40/10`, `mon-fri`, `1,15`. */
function parseField(text: string, rule: FieldRule): Field {
  const values = new Set<number>()
  for (const item of text.split(",")) {
    const [range = "", stepText, ...more] = item.split("/")
    const step = stepText === undefined ? 1 : Number(stepText)
    if (more.length > 0 || !Number.isInteger(step) || step < 1) throw badField(text, rule)
    const [from, to] = boundsOf(range, stepText !== undefined, rule)
    if (!(from >= rule.min && to <= rule.max && from <= to)) throw badField(text, rule)
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return { values, isAny: text.startsWith("*") }
}

function boundsOf(range: string, hasStep: boolean, rule: FieldRule): [from: number, to: number] {
  if (range === "*") return [rule.min, rule.max]
  const [fromText = "", toText] = range.split("-")
  const from = numberOf(fromText, rule)
  if (toText !== undefined) return [from, numberOf(toText, rule)]
  return [from, hasStep ? rule.max : from]
}

function numberOf(text: string, rule: FieldRule): number {
  const named = rule.names?.indexOf(text.toLowerCase()) ?? -1
  if (named >= 0) return named + (rule.namesFrom ?? 0)
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}

const badField = (text: string, rule: FieldRule): CronError =>
  new CronError(`cron field "${text}" is not a ${rule.name} (${rule.min}-${rule.max})`)
