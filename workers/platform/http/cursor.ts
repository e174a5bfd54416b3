/** The end of a page of a list: opaque to callers, so that they cannot depend on its content. */
import type { ListPosition } from "../../../db/queries/platform/page.ts"
import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"

/** A time and an id of 400 characters of three bytes fit; anything longer is refused unread. */
const CURSOR_CHARS_MAX = 1_700

/** The cursor of the row at which a page ended. */
export const encodeCursor = ({ at, id }: ListPosition): string =>
  toBase64Url(utf8(JSON.stringify([at.toISOString(), id])))

/** The row that a cursor names; null when it is not a valid cursor. Never throws. */
export function decodeCursor(cursor: string): ListPosition | null {
  const bytes = cursor.length <= CURSOR_CHARS_MAX ? fromBase64Url(cursor) : null
  if (bytes === null) return null
  try {
    const parts: unknown = JSON.parse(fromUtf8(bytes))
    if (!Array.isArray(parts) || parts.length !== 2) return null
    const [time, id]: unknown[] = parts
    if (typeof time !== "string" || typeof id !== "string") return null
    // Postgres would refuse these as a time or a text.
    if (!/^[12]\d{3}-/.test(time) || id === "" || id.includes("\0") || !id.isWellFormed()) return null
    const at = new Date(time)
    return Number.isNaN(at.getTime()) || at.toISOString() !== time ? null : { at, id }
  } catch {
    return null // not UTF-8, or not JSON
  }
}
