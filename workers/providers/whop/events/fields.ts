/**
 * Tolerant readers of single fields. Whop's shapes differ between versions (an id, an object with an id, or `…_id`; ISO text
 * or unix seconds), so each reader accepts all forms of a field and returns null for what it cannot read.
 */
import type { Instant } from "../../../../shared/domain/facts.ts"
import { isId } from "../../ids.ts"

/** A JSON object that is not validated yet. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Longer than any name or code. */
const TEXT_LENGTH_MAX = 320

/** 9999-12-31T23:59:59Z: the last second of ISO text with a four-digit year. */
const UNIX_SECONDS_MAX = 253_402_300_799

/** The value as an object; null when it is none. */
export const objectOf = (value: unknown): JsonObject | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : null // narrowed by the test

/** Trimmed text that is neither empty nor too long, else null. */
export function textOf(value: unknown): string | null {
  if (typeof value !== "string") return null
  const text = value.trim()
  return text !== "" && text.length <= TEXT_LENGTH_MAX ? text : null
}

/** A code or a few words (`Product Not Received`), else null. They become part of facts, so free text is left out. */
export const codeTextOf = (value: unknown): string | null => {
  const text = textOf(value)
  return text !== null && /^[A-Za-z0-9_.,'() -]{1,100}$/.test(text) ? text : null
}

export const idOf = (value: unknown): string | null => (isId(value) ? value : null)

/** The id of a related object: `name: "id"` (v2), `name: { id }` (v1) or `name_id` (v5 and dated v1). */
export function relatedId(data: JsonObject, name: string): string | null {
  const related = data[name]
  return idOf(objectOf(related)?.id ?? related) ?? idOf(data[`${name}_id`])
}

/** The related object, when the event has it and not only its id. */
export const related = (data: JsonObject, name: string): JsonObject => objectOf(data[name]) ?? {}

/**
 * ISO 8601 with a zone, and how Postgres and Ruby write it: a space for the T, an offset of hours or of hours and minutes,
 * or the word UTC.
 */
const DATE_TIME =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?) ?(?:(Z|UTC)|([+-]\d{2})(?::?(\d{2}))?)$/i

/**
 * A time, from a date with time and zone, or from unix seconds or milliseconds as a number or as text; null for anything
 * else.
 */
export function instantOf(value: unknown): Instant | null {
  if (typeof value === "number") return instantOfUnix(value)
  if (typeof value !== "string") return null
  if (/^\d{1,13}(?:\.\d{1,9})?$/.test(value)) return instantOfUnix(Number(value))
  const [, date, time, utc, hours, minutes = "00"] = DATE_TIME.exec(value) ?? []
  if (date === undefined || time === undefined) return null
  return instantOfMs(Date.parse(`${date}T${time.replace(",", ".")}${utc === undefined ? `${hours}:${minutes}` : "Z"}`))
}

/** Milliseconds are more than the last second since January 1978, so no time of this century can mean both. */
const instantOfUnix = (value: number): Instant | null =>
  instantOfMs(Math.floor(value > UNIX_SECONDS_MAX ? value : value * 1000))

const instantOfMs = (ms: number): Instant | null =>
  ms > 0 && ms <= UNIX_SECONDS_MAX * 1000 ? new Date(ms).toISOString() : null

/** A count, as a number or as digits; null when it is not a non-negative safe integer. */
export function countOf(value: unknown): number | null {
  const count = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : null
}

/** The first of the fields that is present and not null; null when all present ones are, undefined when none is present. */
export function firstOf(data: JsonObject, ...names: readonly string[]): unknown {
  const present = names.filter((name) => Object.hasOwn(data, name))
  const name = present.find((candidate) => data[candidate] !== null && data[candidate] !== undefined)
  if (name !== undefined) return data[name]
  return present.length > 0 ? null : undefined
}
