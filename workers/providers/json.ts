/**
 * What both providers do with the bytes of a delivery before they read it: one strict way to parse JSON, and the
 * primitives of signatures. JSON.parse alone builds 200 000 nested arrays and rounds large numbers without a word; the
 * text is measured before it is parsed and the values are judged afterwards, each in one pass.
 */
import { err, ok, type Result } from "../../shared/result.ts"

/** Providers nest about ten levels; what parses deeper can still overflow the stack of whoever serializes it. */
const DEPTH_MAX = 64

/** The largest recorded event has under a thousand keys. */
const KEYS_MAX = 20_000

/** A body that is not the JSON object we can keep. `detail` is safe to show: it never quotes the body. */
export interface MalformedBody {
  readonly reason: "malformed"
  readonly detail: string
}

const malformed = (detail: string): Result<never, MalformedBody> => err({ reason: "malformed", detail })

// `ignoreBOM` keeps the mark in the text, where it is refused: the signature was made over it, JSON knows no such thing.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * The JSON object that the bytes hold. Refused: invalid UTF-8, a byte order mark, nesting or keys beyond the bounds,
 * `__proto__` as a key, and numbers that JavaScript cannot hold exactly. NUL and lone surrogates stay in strings.
 */
export function parseEventBody(rawBody: Uint8Array): Result<unknown, MalformedBody> {
  let text: string
  try {
    text = utf8.decode(rawBody)
  } catch {
    return malformed("body is not UTF-8")
  }
  if (text.startsWith("\uFEFF")) return malformed("body starts with a byte order mark")

  const excess = findExcess(text)
  if (excess !== null) return malformed(excess)

  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return malformed("body is not JSON")
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return malformed("body is not a JSON object")

  const fault = findFault(value)
  return fault === null ? ok(value) : malformed(fault)
}

/** Measures depth and keys without building anything. A colon outside a string is a key, or a syntax error later on. */
function findExcess(text: string): string | null {
  let depth = 0
  let keys = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (inString) {
      if (unit === BACKSLASH) i++
      else if (unit === QUOTE) inString = false
    } else if (unit === QUOTE) inString = true
    else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (++depth > DEPTH_MAX) return `body nests deeper than ${DEPTH_MAX}`
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--
    else if (unit === COLON && ++keys > KEYS_MAX) return `body has more than ${KEYS_MAX} keys`
  }
  return null
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Recursion is safe here: the depth has been measured. */
function findFault(value: unknown): string | null {
  if (typeof value === "number") {
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? null : "body has a number that cannot be held exactly"
  }
  if (typeof value !== "object" || value === null) return null
  if (Array.isArray(value)) {
    for (const item of value) {
      const fault = findFault(item)
      if (fault !== null) return fault
    }
    return null
  }
  // JSON.parse makes `__proto__` an own key, however it was written; whoever copies the object would set its prototype.
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__") return "body has a forbidden key"
    const fault = findFault(item)
    if (fault !== null) return fault
  }
  return null
}
