/** The end of a page of a list: opaque to callers, so that they cannot depend on its content. */
import type { ListPosition } from "../../../db/queries/platform/page.ts"
import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"

/** A time or a number, and an id of 400 characters of three bytes fit; anything longer is refused unread. */
const CURSOR_CHARS_MAX = 1_700

/** The cursor of the row at which a page ended. */
export const encodeCursor = ({ at, id }: ListPosition<Date | number>): string =>
  toBase64Url(utf8(JSON.stringify([at, id])))

/** The row that a cursor names; null when it is not a valid cursor. Never throws. */
export function decodeCursor(cursor: string): ListPosition<Date | number> | null {
  const bytes = cursor.length <= CURSOR_CHARS_MAX ? fromBase64Url(cursor) : null
  if (bytes === null) return null
  try {
    const parts: unknown = JSON.parse(fromUtf8(bytes))
    if (!Array.isArray(parts) || parts.length !== 2) return null
    const [time, id]: unknown[] = parts
    // Postgres would refuse these as a text.
    if (typeof id !== "string" || id === "" || id.includes("\0") || !id.isWellFormed()) return null
    if (typeof time === "number") return Number.isSafeInteger(time) ? { at: time, id } : null
    // Postgres would refuse other years as a time.
    if (typeof time !== "string" || !/^[12]\d{3}-/.test(time)) return null
    const at = new Date(time)
    return Number.isNaN(at.getTime()) || at.toISOString() !== time ? null : { at, id }
  } catch {
    return null // not UTF-8, or not JSON
  }
}
