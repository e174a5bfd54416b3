/** The largest body that is read, and its accepted encoding. */
import type { MiddlewareHandler } from "hono"
import { bodyLimit } from "hono/body-limit"
import { AppError } from "../errors.ts"
import type { AppEnv } from "../services.ts"

/** Refuses a body that is compressed or longer than `bytesMax`, before a handler reads it. */
export function limitBody(bytesMax: number): MiddlewareHandler<AppEnv> {
  const limit = bodyLimit({
    maxSize: bytesMax,
    onError: () => {
      throw new AppError("PAYLOAD_TOO_LARGE", `The body is larger than ${bytesMax} bytes.`)
    },
  })
  return async (c, next) => {
    const encoding = c.req.header("content-encoding")
    if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
      throw new AppError("UNSUPPORTED_MEDIA_TYPE", "Compressed bodies are not accepted.")
    }
    return limit(c, next)
  }
}
