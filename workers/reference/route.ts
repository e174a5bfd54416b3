/** `GET /api/openapi.json` and `GET /api/docs`: the API reference for programs and for people, without a key. */
import { Hono } from "hono"
import { fromBase64Url, fromUtf8 } from "../../shared/crypto/bytes.ts"
import { inflate } from "../../shared/crypto/deflate.ts"
import { limitRequests } from "../platform/limits/clients.ts"
import { referenceLimit } from "../platform/limits/limits.ts"
import type { AppEnv } from "../platform/services.ts"
import { OPENAPI_DEFLATED } from "./openapi.ts"
import { referencePage } from "./page.ts"

/** It changes only with a deployment. */
const CACHE = "public, max-age=300"

/** Far more than the description will ever have. */
const BYTES_MAX = 4 * 1024 * 1024

/** The description of the API (OpenAPI 3.1) as JSON. */
export function openApiJson(): string {
  const bytes = inflate(fromBase64Url(OPENAPI_DEFLATED) ?? new Uint8Array(), BYTES_MAX)
  if (bytes === null) throw new Error("openapi.ts is damaged")
  return fromUtf8(bytes)
}

export const reference = new Hono<AppEnv>()
  .get("/openapi.json", limitRequests(referenceLimit), (c) => {
    c.header("cache-control", CACHE)
    return c.body(openApiJson(), 200, { "content-type": "application/json" })
  })
  .get("/docs", limitRequests(referenceLimit), (c) =>
    referencePage(c, JSON.parse(openApiJson()), { "cache-control": CACHE }),
  )
