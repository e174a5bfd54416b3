/** Bytes that WebCrypto accepts; a view of shared memory is not accepted. */
export type Bytes = Uint8Array<ArrayBuffer>

const encoder = new TextEncoder()

export const utf8 = (text: string): Bytes => new Uint8Array(encoder.encode(text))

/** The text of UTF-8 bytes, a byte order mark included; throws TypeError when they are not UTF-8. */
export const fromUtf8 = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

/** Each text preceded by its length in bytes, so that different lists never have the same encoding. */
export function encodeList(texts: readonly string[]): Bytes {
  return concat(
    ...texts.flatMap((text) => {
      const bytes = utf8(text)
      const length = new Uint8Array(4)
      new DataView(length.buffer).setUint32(0, bytes.length)
      return [length, bytes]
    }),
  )
}

/** In workerd; the runtime of the tests does not have it yet. */
interface NativeBase64 {
  toBase64(): string
}

const hasNativeBase64 = (bytes: Uint8Array): bytes is Uint8Array & NativeBase64 => "toBase64" in bytes

/** Base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  if (hasNativeBase64(bytes)) return bytes.toBase64()
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** Base64url without padding (RFC 4648, section 5). */
export const toBase64Url = (bytes: Uint8Array): string =>
  toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")

/** The bytes of base64url without padding; null when `toBase64Url` would not write exactly this text. */
export function fromBase64Url(text: string): Bytes | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null
  const bytes = decodeBase64(text.replaceAll("-", "+").replaceAll("_", "/"))
  return bytes !== null && toBase64Url(bytes) === text ? bytes : null
}

/** The bytes of base64 with or without padding; null when the text is not base64. */
export function decodeBase64(text: string): Bytes | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
  } catch {
    return null // an impossible length
  }
}

/** The bytes in lower-case hexadecimal digits. */
export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

export const sha256 = async (bytes: Uint8Array): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)))

/** Whether the bytes are equal, in constant time for a given length. */
export function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0)
  return difference === 0
}
