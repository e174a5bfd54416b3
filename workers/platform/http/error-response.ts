/** How errors are answered (RFC 9457) and logged; nothing of an error that is not meant for the caller is shown. */
import type { Context } from "hono"
import { isDatabaseUnavailable } from "../../../db/client.ts"
import { AppError, problem } from "../errors.ts"
import type { AppEnv } from "../services.ts"

/** Seconds after which an outage is worth another try. */
const RETRY_AFTER_SECONDS = 10

/** The answer where no route matches. */
export const notFoundResponse = (c: Context<AppEnv>): Response =>
  withRequestId(c.get("requestId"), problem(c, new AppError("NOT_FOUND", "There is nothing here.")))

/** The answer to an error that a route threw. */
export function errorResponse<E extends AppEnv>(thrown: Error, c: Context<E>): Response {
  const error = isDatabaseUnavailable(thrown) ? databaseUnavailable(thrown) : thrown
  const requestId = c.get("requestId") ?? crypto.randomUUID()
  const log = c.get("services")?.log
  const fields = { method: c.req.method, route: c.req.routePath, error }
  if (error instanceof AppError && error.code !== "INTERNAL")
    log?.info("request_refused", { ...fields, code: error.code, reason: error.reason })
  else if (log) log.error("request_failed", fields)
  else console.error(JSON.stringify({ level: "error", event: "services_init_failed", reason: startFault(error) }))
  return withRequestId(requestId, problem(c, error))
}

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
