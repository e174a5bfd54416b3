/** What callers of the API say, read strictly: what is not known is refused by name, never ignored. */
import { zValidator } from "@hono/zod-validator"
import type { Context, MiddlewareHandler } from "hono"
import * as z from "zod"
import type { Page, PageRequest } from "../../db/queries/platform/page.ts"
import { fromUtf8 } from "../../shared/crypto/bytes.ts"
import { decodeCursor, encodeCursor } from "./cursor.ts"
import { AppError } from "./errors.ts"
import { limitBody } from "./limit-body.ts"
import type { AppEnv } from "./services.ts"

/** A page holds this many rows unless asked otherwise, and never more than the larger number. */
const PAGE_DEFAULT = 50
const PAGE_MAX = 200

/** Settings are the largest thing that is sent to the API; they are a few KiB. */
const BODY_BYTES_MAX = 64 * 1024

/** Ids of providers and of ours are shorter; Postgres refuses the character zero. */
export const idText = z
  .string()
  .min(1)
  .max(400)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "expected an id")

/** Parameters that every list takes. */
/** Why something is changed: one plain line, which is kept with the change for good. */
export const reasonText = z
  .string()
  .max(500)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, "expected one line of plain text")
  .transform((text) => text.trim())
  .refine((text) => text !== "", { error: "expected why" })

export const pageFields = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `expected a whole number from 1 to ${PAGE_MAX}`)
    .transform(Number)
    .pipe(z.number().max(PAGE_MAX, `expected at most ${PAGE_MAX}`))
    .default(PAGE_DEFAULT),
  cursor: z
    .string()
    .transform((text, context) => {
      const position = decodeCursor(text)
      if (position !== null) return position
      context.addIssue({ code: "custom", message: "expected a nextCursor of this list" })
      return z.NEVER
    })
    .optional(),
}

type Target = "json" | "query" | "param"

/** Puts what it has read into `c.req.valid(target)`. */
type Validator<T extends Target, Schema extends z.ZodType> = MiddlewareHandler<
  AppEnv,
  string,
  { in: Record<T, z.input<Schema>>; out: Record<T, z.output<Schema>> }
>

/** The package's own type says how Hono's client would write the input, which nothing can tell of a schema that is not known yet. */
const asValidator = <T extends Target, Schema extends z.ZodType>(handler: MiddlewareHandler) =>
  handler as Validator<T, Schema>

/** What the routes take, for the description of the API (openapi/generate.ts). */
const taken = new WeakMap<
  object,
  { readonly target: Target; readonly schema: z.ZodType; readonly isOptional: boolean }
>()

/** What a handler takes; null when it is none of the validators here. */
export const takenBy = (handler: object) => taken.get(handler) ?? null

/** The query of a request. Refuses, naming the parameter, what is unknown, doubled or no value of it. */
export function validQuery<Schema extends z.ZodType>(schema: Schema): Validator<"query", Schema> {
  const validator = asValidator<"query", Schema>(
    zValidator("query", schema, (result, c) => {
      const doubled = Object.entries(c.req.queries()).find(([, values]) => values.length > 1)
      if (doubled) throw new AppError("MALFORMED", `The query parameter ${named(doubled[0])} is given more than once.`)
      if (!result.success) throw new AppError("MALFORMED", `The query is not acceptable: ${firstIssue(result.error)}.`)
    }),
  )
  taken.set(validator, { target: "query", schema, isOptional: true })
  return validator
}

/** The names in a path. What cannot be one is not there: NOT_FOUND. */
export function validParam<Schema extends z.ZodType>(
  schema: Schema,
  detail = "There is nothing under this id.",
): Validator<"param", Schema> {
  const validator = asValidator<"param", Schema>(
    zValidator("param", schema, (result) => {
      if (!result.success) throw new AppError("NOT_FOUND", detail)
    }),
  )
  taken.set(validator, { target: "param", schema, isOptional: false })
  return validator
}

/** The id in a path. */
export const validId = (schema: z.ZodType<string> = idText) => validParam(z.object({ id: schema }))

interface JsonOptions {
  readonly isOptional?: boolean
  readonly bytesMax?: number
  /** What the body should be, where the handler itself judges a part of it. */
  readonly describedBy?: z.ZodType
}

/** The JSON body of a request; where it is optional, none reads like an empty object. Refuses what does not fit. */
export function validJson<Schema extends z.ZodType>(
  schema: Schema,
  { isOptional = false, bytesMax = BODY_BYTES_MAX, describedBy = schema }: JsonOptions = {},
): Validator<"json", Schema> {
  const limit = limitBody(bytesMax)
  const parse = asValidator<"json", Schema>(
    zValidator("json", schema, (result) => {
      if (!result.success) throw new AppError("MALFORMED", `The body is not acceptable: ${firstIssue(result.error)}.`)
    }),
  )
  const validator: Validator<"json", Schema> = (c, next) =>
    limit(c, async () => {
      const bytes = new Uint8Array(await c.req.arrayBuffer())
      if (bytes.byteLength === 0 && isOptional) {
        c.req.addValidatedData("json", schema.parse({}) as object)
        return next()
      }
      if (bytes.byteLength > 0) requireJsonType(c)
      requireJson(bytes)
      await parse(c, next)
    })
  taken.set(validator, { target: "json", schema: describedBy, isOptional })
  return validator
}

/** Throws UNSUPPORTED_MEDIA_TYPE for a body that is not said to be JSON. */
export function requireJsonType(c: Context<AppEnv>): void {
  if (isJson(c.req.header("content-type"))) return
  throw new AppError("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
}

/** The page that a parsed query asks for, and the filters that are left of it. */
export function splitPage<Query extends { readonly limit: number; readonly cursor?: PageRequest["after"] | undefined }>(
  query: Query,
): { readonly page: PageRequest; readonly filter: Omit<Query, "limit" | "cursor"> } {
  const { limit, cursor, ...filter } = query
  return { page: { limit, after: cursor ?? null }, filter }
}

/** The answer to a list. */
export const listOf = <Row, Shown>({ rows, end }: Page<Row>, show: (row: Row) => Shown) => ({
  data: rows.map(show),
  nextCursor: end === null ? null : encodeCursor(end),
})

/** Whether a `Content-Type` says JSON. */
export const isJson = (contentType: string | undefined): boolean =>
  /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType ?? "")

/** Hono takes what is not UTF-8 for text with replacements in it, and answers for itself what is no JSON. */
function requireJson(bytes: Uint8Array): void {
  try {
    JSON.parse(fromUtf8(bytes))
  } catch {
    throw new AppError("MALFORMED", "The body is not JSON.")
  }
}

/** The first fault of what was given: where, and what was expected; a name of the caller's only when it is plain. */
export function firstIssue({ issues }: z.core.$ZodError): string {
  const [issue] = issues
  if (issue === undefined) return "it does not fit"
  const place = issue.path.map((part) => named(String(part))).join(".")
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.slice(0, 5).map(named).join(", ")
    return place === "" ? `${names} is not known` : `${place}: ${names} is not known`
  }
  return place === "" ? issue.message : `${place}: ${issue.message}`
}

const named = (name: string): string => (/^[A-Za-z0-9_.-]{1,64}$/.test(name) ? name : "(unprintable)")
