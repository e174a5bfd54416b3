/** Middleware and routes: the whole surface of the Worker on one page. */
import { Hono } from "hono"
import { isDatabaseAway } from "../db/client.ts"
import { api } from "./api/route.ts"
import { AppError, problem } from "./errors.ts"
import { health } from "./health/route.ts"
import { scheduler } from "./health/scheduler.ts"
import { jobs } from "./jobs/route.ts"
import { members } from "./members/route.ts"
import { type AppEnv, makeServices } from "./services.ts"
import { webhooks } from "./webhooks/route.ts"

/** Ids of callers are kept when they are plain; anything else gets one of ours. */
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/

/** The Worker's routes. */
export const app = new Hono<AppEnv>()
  .use(async (c, next) => {
    const given = c.req.header("x-request-id") ?? ""
    const requestId = REQUEST_ID.test(given) ? given : crypto.randomUUID()
    c.set("requestId", requestId)
    c.set("services", await makeServices(c.env, (work) => c.executionCtx.waitUntil(work), requestId))
    await next()
    c.header("x-request-id", requestId)
    c.header("x-content-type-options", "nosniff")
    c.header("strict-transport-security", "max-age=31536000; includeSubDomains")
  })
  .route("/api/webhooks", webhooks)
  .route("/api/health", health)
  .route("/api/scheduler", scheduler)
  .route("/jobs", jobs)
  .route("/api", api)
  .route("/", members)
  .notFound((c) => withRequestId(c.get("requestId"), problem(c, new AppError("NOT_FOUND", "There is nothing here."))))
  .onError((thrown, c) => {
    const error = isDatabaseAway(thrown) ? databaseAway(thrown) : thrown
    const requestId = c.get("requestId") ?? crypto.randomUUID()
    const log = c.get("services")?.log
    const fields = { method: c.req.method, route: c.req.routePath, error }
    if (error instanceof AppError && error.code !== "INTERNAL")
      log?.info("request_refused", { ...fields, code: error.code, reason: error.reason })
    else if (log) log.error("request_failed", fields)
    else console.error(JSON.stringify({ level: "error", event: "services_not_made", reason: startFault(error) }))
    return withRequestId(requestId, problem(c, error))
  })

/** Seconds after which an outage is worth another try. */
const RETRY_AFTER_SECONDS = 10

const databaseAway = (cause: unknown): AppError =>
  new AppError("UNAVAILABLE", "The data cannot be reached now. Please try again.", {
    reason: "database_away",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause,
  })

function withRequestId(requestId: string, response: Response): Response {
  response.headers.set("x-request-id", requestId)
  return response
}

/** The configuration's own error names variables and never values; nothing else is quoted. */
const startFault = (error: Error): string =>
  error.message.startsWith("The environment is not complete") ? error.message : error.name
