/** Compression of bytes (RFC 1951) by the platform's zlib, which costs half of its streams for a payload of some KiB. */
import { deflateRawSync, inflateRawSync } from "node:zlib"
import type { Bytes } from "./bytes.ts"

export const deflate = (bytes: Uint8Array): Bytes => new Uint8Array(deflateRawSync(bytes))

/** The bytes that were deflated; null when these are not deflated bytes, or inflate to more than `bytesMax`. */
export function inflate(deflated: Uint8Array, bytesMax: number): Bytes | null {
  try {
    return new Uint8Array(inflateRawSync(deflated, { maxOutputLength: bytesMax }))
  } catch {
    return null
  }
}
