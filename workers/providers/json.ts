/**
 * Parses the bytes of a delivery to a JSON object. Only a body that is no JSON object is rejected: a field that is not read
 * may have any value without losing the event. The parser of V8 needs no stack for nesting, and the size of a body is
 * limited before; the parsed value is then cut to the bounds below, so that no later code gets a value that is nested too
 * deeply to be written as text again, or a map of too many keys.
 */
import { err, ok, type Result } from "../../shared/result.ts"

/** Providers nest about ten levels. Deeper values become null. */
const DEPTH_MAX = 64

/**
 * The levels of the fields that are read: the event, `data`, and the object itself. All their keys stay, however many there
 * are, because the ones that are read may be among them.
 */
const NAMED_DEPTH = 3

/** Below them, an object of more keys than this is a free map and becomes null: the largest that is read has under 100. */
const MAP_KEYS_MAX = 2_000

/** A list of more items than this is cut: no list that is read is so long. */
const LIST_ITEMS_MAX = 5_000

/** Keys of a whole body. The largest recorded event has under a thousand; containers after this many become null. */
const KEYS_MAX = 20_000

/** The body is not an acceptable JSON object. `detail` is safe to show: it never quotes the body. */
export interface InvalidBody {
  readonly reason: "malformed"
  readonly detail: string
}

const malformed = (detail: string): Result<never, InvalidBody> => err({ reason: "malformed", detail })

// `ignoreBOM` keeps the mark in the text, so that it is rejected: it was signed, and JSON does not allow it.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * The JSON object in the bytes, within the bounds. Rejected: invalid UTF-8, a byte order mark, and anything but a JSON
 * object. NUL and lone surrogates stay in strings; numbers are JavaScript's, so code that needs an exact one checks it.
 */
export function parseEventBody(rawBody: Uint8Array): Result<unknown, InvalidBody> {
  let text: string
  try {
    text = utf8.decode(rawBody)
  } catch {
    return malformed("body is not UTF-8")
  }
  if (text.startsWith("\uFEFF")) return malformed("body starts with a byte order mark")

  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return malformed("body is not JSON")
  }
  if (!isContainer(value) || Array.isArray(value)) return malformed("body is not a JSON object")
  return ok(pruneToBounds(value))
}

type Container = Record<string, unknown> | unknown[]

const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null

/**
 * The parsed value cut to the bounds, in place: without keys `__proto__`, values nested too deeply, and maps and lists beyond
 * their bounds. Level by level, so that a body with too many keys keeps the upper ones.
 */
export function pruneToBounds<T>(value: T): T {
  if (!isContainer(value)) return value
  let level: Container[] = [value]
  let keys = 0
  for (let depth = 1; level.length > 0; depth++) {
    const next: Container[] = []
    for (const container of level) {
      if (Array.isArray(container)) {
        if (container.length > LIST_ITEMS_MAX) container.length = LIST_ITEMS_MAX
        for (let i = 0; i < container.length; i++) {
          const item = container[i]
          if (isContainer(item)) container[i] = keep(item, depth, next)
        }
        continue
      }
      // JSON.parse makes `__proto__` an own key, even when escaped; assigning it later would set a prototype.
      Reflect.deleteProperty(container, "__proto__")
      for (const [key, item] of Object.entries(container)) {
        keys += 1
        if (isContainer(item)) container[key] = keys > KEYS_MAX && depth > NAMED_DEPTH ? null : keep(item, depth, next)
      }
    }
    level = next
  }
  return value
}

/** The container, added to the next level; null for one that exceeds the bounds. */
function keep(container: Container, depth: number, next: Container[]): Container | null {
  if (depth >= DEPTH_MAX) return null
  if (!Array.isArray(container) && depth >= NAMED_DEPTH && Object.keys(container).length > MAP_KEYS_MAX) return null
  next.push(container)
  return container
}
