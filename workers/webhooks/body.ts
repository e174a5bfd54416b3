/** Reading a request's body without trusting what its headers say of it. */
import { AppError } from "../errors.ts"

/** The bytes as they came. Throws PAYLOAD_TOO_LARGE past the bound, having read no further. */
export async function readBounded(request: Request, bytesMax: number): Promise<Uint8Array> {
  const encoding = request.headers.get("content-encoding")
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    await request.body?.cancel()
    throw new AppError("UNSUPPORTED_MEDIA_TYPE", "Compressed bodies are not accepted.")
  }
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = request.body?.getReader()
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    length += part.value.byteLength
    if (length > bytesMax) {
      await reader?.cancel()
      throw new AppError("PAYLOAD_TOO_LARGE", `The body is larger than ${bytesMax} bytes.`)
    }
    chunks.push(part.value)
  }
  const body = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    body.set(chunk, offset)
    offset += chunk.byteLength
  }
  return body
}
