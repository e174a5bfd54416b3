/** Middleware and routes: the whole surface of the Worker on one page. */
import { type Context, Hono } from "hono"
import { matchedRoutes } from "hono/route"
import { secureHeaders } from "hono/secure-headers"
import { isDatabaseUnavailable } from "../db/client.ts"
import { api } from "./api/route.ts"
import { health } from "./health/route.ts"
import { scheduler } from "./health/scheduler.ts"
import { jobs } from "./jobs/route.ts"
import { makeServices } from "./make-services.ts"
import { AppError, problem } from "./platform/errors.ts"
import { countRequest } from "./platform/request-metrics.ts"
import type { AppEnv } from "./platform/services.ts"
import { members } from "./recovery/members/route.ts"
import { reference } from "./reference/route.ts"
import { webhooks } from "./webhooks/route.ts"

/** Ids of callers are kept when they are plain; anything else gets one of ours. */
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/

/** Nothing that we answer is to be run, framed or guessed at; a page that needs more says so itself and is not overruled. */
const headersOfAll = secureHeaders({
  strictTransportSecurity: "max-age=31536000; includeSubDomains",
  xFrameOptions: "DENY",
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
  },
  overwrite: false,
})

/** The Worker's routes. */
export const app = new Hono<AppEnv>()
  .use(headersOfAll)
  .use(async (c, next) => {
    const given = c.req.header("x-request-id") ?? ""
    const requestId = REQUEST_ID.test(given) ? given : crypto.randomUUID()
    c.set("requestId", requestId)
    c.set("services", await makeServices(c.env, (work) => c.executionCtx.waitUntil(work), requestId))
    const services = c.get("services")
    const startedAt = services.now()
    await next()
    countRequest(services, { path: c.req.path, status: c.res.status, startedAt })
    c.header("x-request-id", requestId)
  })
  .use(async (c, next) => {
    const allow = isRouted(c) ? [] : methodsOf(c.req.path)
    if (allow.length > 0) {
      throw new AppError("METHOD_NOT_ALLOWED", "This path does not have that method.", {
        headers: { allow: allow.join(", ") },
      })
    }
    await next()
  })
  .route("/api/webhooks", webhooks)
  .route("/api/health", health)
  .route("/api/scheduler", scheduler)
  .route("/jobs", jobs)
  .route("/api", reference)
  .route("/api", api)
  .route("/", members)
  .notFound((c) => withRequestId(c.get("requestId"), problem(c, new AppError("NOT_FOUND", "There is nothing here."))))
  .onError((thrown, c) => {
    const error = isDatabaseUnavailable(thrown) ? databaseUnavailable(thrown) : thrown
    const requestId = c.get("requestId") ?? crypto.randomUUID()
    const log = c.get("services")?.log
    const fields = { method: c.req.method, route: c.req.routePath, error }
    if (error instanceof AppError && error.code !== "INTERNAL")
      log?.info("request_refused", { ...fields, code: error.code, reason: error.reason })
    else if (log) log.error("request_failed", fields)
    else console.error(JSON.stringify({ level: "error", event: "services_init_failed", reason: startFault(error) }))
    return withRequestId(requestId, problem(c, error))
  })

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const

/** Middleware is there for all methods; a route is there for one. */
const isRouted = (c: Context<AppEnv>): boolean => matchedRoutes(c).some(({ method }) => method !== "ALL")

/** The methods that a path has; HEAD goes with GET. */
const methodsOf = (path: string): readonly string[] =>
  METHODS.filter((name) => app.router.match(name, path)[0].some(([[, { method }]]) => method === name)).flatMap(
    (name) => (name === "GET" ? ["GET", "HEAD"] : [name]),
  )

/** Seconds after which an outage is worth another try. */
const RETRY_AFTER_SECONDS = 10

const databaseUnavailable = (cause: unknown): AppError =>
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
