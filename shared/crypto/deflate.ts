/** Compression of bytes by the platform's streams (RFC 1951). */
import { type Bytes, concat } from "./bytes.ts"

export const deflate = async (bytes: Uint8Array): Promise<Bytes> =>
  new Uint8Array(await new Response(passedThrough(bytes, new CompressionStream("deflate-raw"))).arrayBuffer())

/** The bytes that were deflated; null when these are not deflated bytes, or inflate to more than `bytesMax`. */
export async function inflate(deflated: Uint8Array, bytesMax: number): Promise<Bytes | null> {
  const reader = passedThrough(deflated, new DecompressionStream("deflate-raw")).getReader()
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for (let next = await reader.read(); next.value !== undefined; next = await reader.read()) {
      length += next.value.length
      if (length > bytesMax) {
        await reader.cancel()
        return null
      }
      parts.push(next.value)
    }
  } catch {
    return null
  }
  return concat(...parts)
}

function passedThrough(
  bytes: Uint8Array,
  { readable, writable }: CompressionStream | DecompressionStream,
): ReadableStream<Uint8Array> {
  const writer = writable.getWriter()
  // Who reads gets the error as well.
  const ignore = () => undefined
  writer.write(new Uint8Array(bytes)).catch(ignore)
  writer.close().catch(ignore)
  return readable
}
