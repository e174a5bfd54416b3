/**
 * Log lines: one JSON object each, with fields from an allow list. They contain ids, reasons, counts and durations, and
 * never an address, a name, a payload or an error message.
 */
import { describeError } from "./describe-error.ts"

/** The fields of a line besides time, level and event. Before adding one: can its value identify a person? */
const FIELDS = [
  // the request
  "requestId",
  "method",
  "route",
  "status",
  "code",
  "role",
  "keyId",
  // objects, by id
  "companyId",
  "customerId",
  "provider",
  "account",
  "providerEventId",
  "eventId",
  "eventType",
  "apiVersion",
  "stream",
  "version",
  "factKind",
  "caseId",
  "nudgeId",
  "step",
  "channel",
  "job",
  "jobRunId",
  "outboxId",
  "messageId",
  "scheduleId",
  "alertId",
  "privacyRequestId",
  "switch",
  "flag",
  "metric",
  "target",
  "sink",
  // results
  "reason",
  "outcome",
  "source",
  "scheme",
  "secretIndex",
  "secretId",
  "segmentId",
  "viewId",
  "keyVersion",
  "isNew",
  "isOn",
  "retry",
  // amounts and durations
  "attempt",
  "retried",
  "count",
  "due",
  "sent",
  "failed",
  "skipped",
  "checked",
  "missing",
  "fetched",
  "outOfReach",
  "differences",
  "remaining",
  "bytes",
  "value",
  "durationMs",
  "ageMs",
  "waitMs",
  "dueAt",
] as const

export type LogField = (typeof FIELDS)[number]
export type LogLevel = "debug" | "info" | "warn" | "error"

/** The fields of a line. `error` may be any thrown value; it is described, not quoted. */
export type LogFields = { readonly [Field in LogField]?: string | number | boolean | null | undefined } & {
  readonly error?: unknown
}

/** Writes lines. `event` is a constant in snake_case. */
export interface Logger {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger
}

/** Longer than any id or reason. */
const VALUE_CHARS_MAX = 200
const ALLOWED: ReadonlySet<string> = new Set(FIELDS)

/** A logger that writes to `write`, by default to the console, from which Cloudflare collects lines by level. */
export function createLogger({
  now,
  write = (level, line) => console[level](line),
  fields: common = {},
}: {
  readonly now: () => Date
  readonly write?: (level: LogLevel, line: string) => void
  readonly fields?: LogFields
}): Logger {
  const log =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}) =>
      write(level, formatLine({ time: now(), level, event, fields: { ...common, ...fields } }))
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    with: (fields) => createLogger({ now, write, fields: { ...common, ...fields } }),
  }
}

/**
 * One line of JSON. Fields that are not allowed are dropped and counted, which shows the mistake without its content.
 */
export function formatLine(entry: {
  readonly time: Date
  readonly level: LogLevel
  readonly event: string
  readonly fields: LogFields
}): string {
  const line: Record<string, unknown> = {
    time: entry.time.toISOString(),
    level: entry.level,
    event: safeText(entry.event),
  }
  let droppedFields = 0
  for (const [name, value] of Object.entries(entry.fields)) {
    if (value === undefined) continue
    if (name === "error") line.error = describeError(value)
    else if (ALLOWED.has(name) && isPlain(value)) line[name] = typeof value === "string" ? safeText(value) : value
    else droppedFields += 1
  }
  if (droppedFields > 0) line.droppedFields = droppedFields
  return escapeControls(JSON.stringify(line))
}

const isPlain = (value: unknown): boolean => value === null || ["string", "number", "boolean"].includes(typeof value)

/** In addition to the allow list: text that looks like an address or a URL with credentials is redacted. */
function safeText(text: string): string {
  const short = text.slice(0, VALUE_CHARS_MAX)
  return short.includes("@") ? short.replaceAll(/[^\s@]*@[^\s@]*/g, "[redacted]") : short
}

/** JSON escapes the lower control characters; these would still break or reorder a line on a screen. */
const escapeControls = (json: string): string =>
  json.replaceAll(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
