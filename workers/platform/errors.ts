/** Code → status → problem document (RFC 9457). The caller reads one plain sentence; the log keeps reason and cause. */
import type { Context } from "hono"
import type { ContentfulStatusCode } from "hono/utils/http-status"

const STATUS = {
  MALFORMED: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  BAD_GATEWAY: 502,
  UNAVAILABLE: 503,
} as const satisfies Record<string, ContentfulStatusCode>

export type ErrorCode = keyof typeof STATUS

const TITLE: Readonly<Record<ErrorCode, string>> = {
  MALFORMED: "Malformed request",
  UNAUTHENTICATED: "Not authenticated",
  FORBIDDEN: "Not allowed",
  NOT_FOUND: "Not found",
  METHOD_NOT_ALLOWED: "Method not allowed",
  CONFLICT: "Conflict",
  PAYLOAD_TOO_LARGE: "Payload too large",
  UNSUPPORTED_MEDIA_TYPE: "Unsupported media type",
  TOO_MANY_REQUESTS: "Too many requests",
  INTERNAL: "Internal error",
  BAD_GATEWAY: "No usable answer of another service",
  UNAVAILABLE: "Temporarily unavailable",
}

/** A refusal with a stable code. `message` is shown to the caller: a plain sentence without input, ids or secrets. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly reason: string | null
  readonly retryAfterSeconds: number | null
  /** Further headers of the answer, such as `allow`. */
  readonly headers: Readonly<Record<string, string>>
  /** Extension members of the document (RFC 9457, section 3.2). */
  readonly extension: Readonly<Record<string, unknown>>
  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly reason?: string
      readonly retryAfterSeconds?: number
      readonly headers?: Readonly<Record<string, string>>
      readonly extension?: Readonly<Record<string, unknown>>
      readonly cause?: unknown
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = "AppError"
    this.code = code
    this.reason = options.reason ?? null
    this.retryAfterSeconds = options.retryAfterSeconds ?? null
    this.headers = options.headers ?? {}
    this.extension = options.extension ?? {}
  }
}

/** The answer to an error; anything but an `AppError` is our bug, and the answer gives no details. */
export function problem(c: Context, error: unknown): Response {
  const known = error instanceof AppError ? error : new AppError("INTERNAL", "Something went wrong on our side.")
  const status = STATUS[known.code]
  const retryAfter = known.retryAfterSeconds === null ? {} : { "retry-after": String(known.retryAfterSeconds) }
  return c.body(
    JSON.stringify({
      ...known.extension,
      type: `urn:churn-saver:problem:${known.code.toLowerCase().replaceAll("_", "-")}`,
      title: TITLE[known.code],
      status,
      detail: known.message,
      code: known.code,
    }),
    status,
    { "content-type": "application/problem+json", "cache-control": "no-store", ...retryAfter, ...known.headers },
  )
}
