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

/** Whether two byte strings are equal, in a time that depends on their lengths only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}

/** The bytes of lower-case hex, two digits each; null for anything else. */
export function decodeHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) return null
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

/** The bytes of canonical, padded base64 in the standard alphabet; null for anything else, so one value has one spelling. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null
  let binary: string
  try {
    binary = atob(text)
  } catch {
    return null
  }
  return btoa(binary) === text ? Uint8Array.from(binary, (character) => character.charCodeAt(0)) : null
}

/** The parts, one after the other; text as UTF-8. */
export function joinBytes(...parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const arrays = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part))
  const joined = new Uint8Array(arrays.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of arrays) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** Importing a key costs about as much as the HMAC of a small body; one isolate serves few companies at a time. */
const IMPORTED_KEYS_MAX = 64
const importedKeys = new Map<string, Promise<CryptoKey>>()

/** HMAC-SHA256 of the message. The key must not be empty (workerd refuses such a key). */
export async function hmacSha256(key: Uint8Array, message: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", await importKey(key), message))
}

function importKey(key: Uint8Array): Promise<CryptoKey> {
  const name = String.fromCharCode(...key)
  const known = importedKeys.get(name)
  if (known) return known

  const [oldest] = importedKeys.keys()
  if (importedKeys.size >= IMPORTED_KEYS_MAX && oldest !== undefined) importedKeys.delete(oldest)
  const imported = crypto.subtle.importKey("raw", joinBytes(key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
  importedKeys.set(name, imported)
  imported.catch(() => importedKeys.delete(name))
  return imported
}
