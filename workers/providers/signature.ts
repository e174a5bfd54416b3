/** Primitives of the providers' signature schemes. Each value has one accepted encoding, so a signature cannot be altered. */
import { type Bytes, concat, decodeBase64, utf8 } from "../../shared/crypto/bytes.ts"
import { BoundedMap } from "../../shared/network/rate-limit.ts"

/** The bytes of lower-case hex, two digits each; null for anything else. */
export function decodeHex(text: string): Bytes | null {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) return null
  return Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16))
}

/** The bytes of canonical, padded base64 in the standard alphabet; null for anything else. */
export function decodeCanonicalBase64(text: string): Bytes | null {
  const bytes = decodeBase64(text)
  return bytes !== null && btoa(String.fromCharCode(...bytes)) === text ? bytes : null
}

/** The parts, one after the other; text as UTF-8. */
export const joinBytes = (...parts: readonly (string | Uint8Array)[]): Bytes =>
  concat(...parts.map((part) => (typeof part === "string" ? utf8(part) : part)))

/** Importing a key costs about as much as the HMAC of a small body; one isolate serves few companies at a time. */
const IMPORTED_KEYS_MAX = 64

/** Resolved keys only: a promise of one request must not be awaited by another in workerd. */
const importedKeys = new BoundedMap<string, CryptoKey>(IMPORTED_KEYS_MAX)

/** HMAC-SHA256 of the message. The key must not be empty (workerd refuses such a key). */
export async function hmacSha256(key: Uint8Array, message: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", await importKey(key), message))
}

async function importKey(key: Uint8Array): Promise<CryptoKey> {
  const name = String.fromCharCode(...key)
  const known = importedKeys.get(name)
  if (known) return known
  const imported = await crypto.subtle.importKey("raw", concat(key), { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
  importedKeys.set(name, imported)
  return imported
}
