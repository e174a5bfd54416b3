/** Strict parsing of API requests: unknown fields are refused by name, never ignored. */
import { zValidator } from "@hono/zod-validator"
import type { Context, MiddlewareHandler } from "hono"
import * as z from "zod"
import type { ListPosition, Page, PageRequest } from "../../../db/queries/platform/page.ts"
import { fromUtf8 } from "../../../shared/crypto/bytes.ts"
import { AppError } from "../errors.ts"
import type { AppEnv } from "../services.ts"
import { decodeCursor, encodeCursor } from "./cursor.ts"
import { limitBody } from "./limit-body.ts"

/** The default and the largest number of rows per page. */
const PAGE_DEFAULT = 50
const PAGE_MAX = 200

/** Settings are the largest body of the API, at a few KiB. */
const BODY_BYTES_MAX = 64 * 1024

/** Longer than any provider's ids and ours; Postgres refuses the character zero. */
export const idText = z
  .string()
  .min(1)
  .max(400)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "expected an id")

/** A currency as the amounts have it: an ISO code, the longer one of a cryptocurrency, or Whop's balance; in any case. */
export const currencyText = z
  .string()
  .regex(/^(?:[A-Za-z]{3,5}|whop_usd|WHOP_USD)$/, "expected a currency, such as usd")
  .transform((code) => code.toLowerCase())

/** The reason of a change: one plain line, stored with the change permanently. */
export const reasonText = z
  .string()
  .max(500)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, "expected one line of plain text")
  .transform((text) => text.trim())
  .refine((text) => text !== "", { error: "expected why" })

/** What is said of a cursor of another list, or of none. */
export const CURSOR_EXPECTED = "expected a nextCursor of this list"

const cursor = z.string().transform((text, context) => {
  const position = decodeCursor(text)
  if (position !== null) return position
  context.addIssue({ code: "custom", message: CURSOR_EXPECTED })
  return z.NEVER
})

const hasTime = (position: unknown): boolean =>
  typeof position === "object" && position !== null && "at" in position && position.at instanceof Date

/** Parameters that every list takes. */
export const pageFields = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `expected a whole number from 1 to ${PAGE_MAX}`)
    .transform(Number)
    .pipe(z.number().max(PAGE_MAX, `expected at most ${PAGE_MAX}`))
    .default(PAGE_DEFAULT),
  cursor: cursor.pipe(z.custom<ListPosition>(hasTime, CURSOR_EXPECTED)).optional(),
}

/** The same for a list with orders by a number. The route checks that the cursor is of its order. */
export const sortedPageFields = { ...pageFields, cursor: cursor.optional() }

type Target = "json" | "query" | "param"

/** Puts the parsed value into `c.req.valid(target)`. */
type Validator<T extends Target, Schema extends z.ZodType> = MiddlewareHandler<
  AppEnv,
  string,
  { in: Record<T, z.input<Schema>>; out: Record<T, z.output<Schema>> }
>

/** The package's type describes the input of Hono's client, which cannot be derived for a generic schema. */
const asValidator = <T extends Target, Schema extends z.ZodType>(handler: MiddlewareHandler) =>
  handler as Validator<T, Schema>

/** The inputs of the routes, for the description of the API (workers/reference/describe.ts). */
const inputs = new WeakMap<
  object,
  { readonly target: Target; readonly schema: z.ZodType; readonly isOptional: boolean }
>()

/** The input that a handler validates; null when it is not one of the validators here. */
export const inputOf = (handler: object) => inputs.get(handler) ?? null

/** Validates the query. Refuses unknown, repeated and invalid parameters, naming the parameter. */
export function validQuery<Schema extends z.ZodType>(schema: Schema): Validator<"query", Schema> {
  const validator = asValidator<"query", Schema>(
    zValidator("query", schema, (result, c) => {
      const doubled = Object.entries(c.req.queries()).find(([, values]) => values.length > 1)
      if (doubled) throw new AppError("MALFORMED", `The query parameter ${named(doubled[0])} is given more than once.`)
      if (!result.success) throw new AppError("MALFORMED", `The query is not acceptable: ${firstIssue(result.error)}.`)
    }),
  )
  inputs.set(validator, { target: "query", schema, isOptional: true })
  return validator
}

/** Validates the parameters of a path; an invalid one is NOT_FOUND. */
export function validParam<Schema extends z.ZodType>(
  schema: Schema,
  detail = "There is nothing under this id.",
): Validator<"param", Schema> {
  const validator = asValidator<"param", Schema>(
    zValidator("param", schema, (result) => {
      if (!result.success) throw new AppError("NOT_FOUND", detail)
    }),
  )
  inputs.set(validator, { target: "param", schema, isOptional: false })
  return validator
}

/** The id in a path. */
export const validId = (schema: z.ZodType<string> = idText) => validParam(z.object({ id: schema }))

interface JsonOptions {
  readonly isOptional?: boolean
  readonly bytesMax?: number
  /** The documented schema, where the handler itself validates a part of the body. */
  readonly describedBy?: z.ZodType
}

/** Validates the JSON body; a missing optional body equals an empty object. */
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
  inputs.set(validator, { target: "json", schema: describedBy, isOptional })
  return validator
}

/** Throws UNSUPPORTED_MEDIA_TYPE for a body without a JSON content type. */
export function requireJsonType(c: Context<AppEnv>): void {
  if (isJson(c.req.header("content-type"))) return
  throw new AppError("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
}

/** Splits a parsed query into the page and the filters. */
export function splitPage<
  At extends Date | number,
  Query extends { readonly limit: number; readonly cursor?: ListPosition<At> | undefined },
>(
  query: Query & { readonly cursor?: ListPosition<At> | undefined },
): { readonly page: PageRequest<At>; readonly filter: Omit<Query, "limit" | "cursor"> } {
  const { limit, cursor, ...filter } = query
  return { page: { limit, after: cursor ?? null }, filter }
}

/** The answer to a list. */
export const listOf = <Row, Shown>({ rows, end }: Page<Row, Date | number>, show: (row: Row) => Shown) => ({
  data: rows.map(show),
  nextCursor: end === null ? null : encodeCursor(end),
})

/** Whether a `Content-Type` is JSON in UTF-8. */
export const isJson = (contentType: string | undefined): boolean =>
  /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType ?? "")

/** Hono decodes invalid UTF-8 with replacement characters, and answers invalid JSON with its own error. */
function requireJson(bytes: Uint8Array): void {
  try {
    JSON.parse(fromUtf8(bytes))
  } catch {
    throw new AppError("MALFORMED", "The body is not JSON.")
  }
}

/** The first fault: where, and what was expected. A name from the caller is repeated only if it is plain text. */
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
