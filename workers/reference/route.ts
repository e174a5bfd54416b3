/** `GET /api/openapi.json` and `GET /api/docs`: the API reference for programs and for people, without a key. */
import { Hono } from "hono"
import { limitRequests } from "../platform/limits/clients.ts"
import { referenceLimit } from "../platform/limits/limits.ts"
import type { AppEnv } from "../platform/services.ts"
import { OPENAPI_JSON } from "./openapi.ts"
import { referencePage } from "./page.ts"

/** It changes only with a deployment. */
const CACHE = "public, max-age=300"

export const reference = new Hono<AppEnv>()
  .get("/openapi.json", limitRequests(referenceLimit), (c) => {
    c.header("cache-control", CACHE)
    return c.body(OPENAPI_JSON, 200, { "content-type": "application/json" })
  })
  .get("/docs", limitRequests(referenceLimit), (c) =>
    referencePage(c, JSON.parse(OPENAPI_JSON), { "cache-control": CACHE }),
  )
