/**
 * The API, called in this process by a page in the name of the person who is signed in. Validation, permission and tenant
 * are those of the API: a page can neither read nor do what its reader could not over HTTP.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { errorResponse, notFoundResponse } from "../platform/http/error-response.ts"
import type { AppEnv, Principal, Services } from "../platform/services.ts"
import type { AnswerOf, RouteName } from "../reference/answers/all.ts"

/** What a call of a route contains. A query parameter that is null, undefined or empty is left out. */
export interface Call {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | null | undefined>>
  readonly body?: unknown
  /** Any text: it is encoded, because a header cannot hold every one. */
  readonly idempotencyKey?: string
}

/** Calls a route of the API. Throws `ApiProblem` for any answer but a successful one. */
export type ApiClient = <Name extends RouteName>(name: Name, call?: Call) => Promise<AnswerOf<Name>>

/** The parts of a problem document (RFC 9457) that pages show. */
const problemDocument = z.object({ status: z.int(), code: z.string(), detail: z.string() })

/** A refusal of the API, with its `Retry-After`. */
export interface Problem extends z.infer<typeof problemDocument> {
  readonly retryAfter: string | null
}

/** The refusal in an answer of the API. */
export const readProblem = async (response: Response): Promise<Problem> => ({
  ...problemDocument.parse(await response.json()),
  retryAfter: response.headers.get("retry-after"),
})

/** The API refused a call: `detail` is its sentence for people. */
export class ApiProblem extends Error implements Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly retryAfter: string | null
  constructor({ status, code, detail, retryAfter }: Problem) {
    super(detail)
    this.name = "ApiProblem"
    this.status = status
    this.code = code
    this.detail = detail
    this.retryAfter = retryAfter
  }
}

interface Caller {
  readonly services: Services
  readonly principal: Principal
  readonly requestId: string
}

/** A function that makes the client of one request. `api` are the routes below `/api`. */
export function apiClients(api: Hono<AppEnv>): (c: Context, caller: Caller) => ApiClient {
  const callers = new WeakMap<Request, Caller>()
  const inProcess = new Hono<AppEnv>()
    .use(async (c, next) => {
      const caller = callers.get(c.req.raw)
      if (caller === undefined) throw new Error("a call without a caller")
      c.set("services", caller.services)
      c.set("principal", caller.principal)
      c.set("requestId", caller.requestId)
      await next()
    })
    .route("/api", api)
    .notFound(notFoundResponse)
    .onError(errorResponse)

  return (c, caller) =>
    async <Name extends RouteName>(name: Name, call: Call = {}): Promise<AnswerOf<Name>> => {
      const request = requestOf(name, call)
      callers.set(request, caller)
      const response = await inProcess.fetch(request, c.env, c.executionCtx)
      if (!response.ok) throw new ApiProblem(await readProblem(response))
      const text = await response.text()
      // The flow tests parse every answer of the API by the schema that this type is derived from.
      return (text === "" ? null : JSON.parse(text)) as AnswerOf<Name>
    }
}

function requestOf(name: RouteName, { params = {}, query = {}, body, idempotencyKey }: Call): Request {
  const [method = "", path = ""] = name.split(" ")
  const url = new URL(
    path.replaceAll(/:([A-Za-z]+)/g, (_, key: string) => encodeURIComponent(params[key] ?? "")),
    "https://in-process.invalid",
  )
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(key, String(value))
  }
  return new Request(url, {
    method,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(idempotencyKey !== undefined && { "idempotency-key": encodeURIComponent(idempotencyKey) }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}
