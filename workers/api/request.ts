/** What callers of the API say, read strictly: what is not known is refused by name, never ignored. */
import type { Context } from "hono"
import * as z from "zod"
import type { Page, PageRequest } from "../../db/queries/page.ts"
import { fromUtf8 } from "../../shared/crypto/bytes.ts"
import { AppError } from "../errors.ts"
import type { AppEnv } from "../services.ts"
import { readBounded } from "../webhooks/body.ts"
import { decodeCursor, encodeCursor } from "./cursor.ts"

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

/** The query of a request. Throws MALFORMED, naming the parameter, for what is unknown, doubled or no value of it. */
export function readQuery<Schema extends z.ZodType>(c: Context<AppEnv>, schema: Schema): z.output<Schema> {
  const given = c.req.queries()
  const doubled = Object.entries(given).find(([, values]) => values.length > 1)
  if (doubled) throw new AppError("MALFORMED", `The query parameter ${named(doubled[0])} is given more than once.`)
  const parsed = schema.safeParse(Object.fromEntries(Object.entries(given).map(([name, [value]]) => [name, value])))
  if (parsed.success) return parsed.data
  throw new AppError("MALFORMED", `The query is not acceptable: ${faultOf(parsed.error)}.`)
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

/** An id in a path. Throws NOT_FOUND for what cannot be one: there is nothing under it. */
export function pathId(c: Context<AppEnv>, schema: z.ZodType<string> = idText): string {
  const id = schema.safeParse(c.req.param("id"))
  if (!id.success) throw new AppError("NOT_FOUND", "There is nothing under this id.")
  return id.data
}

/** The JSON body of a request; where it is optional, none reads like an empty object. Throws for what does not fit. */
export async function readBody<Schema extends z.ZodType>(
  c: Context<AppEnv>,
  schema: Schema,
  { isOptional, bytesMax = BODY_BYTES_MAX }: { readonly isOptional: boolean; readonly bytesMax?: number } = {
    isOptional: false,
  },
): Promise<z.output<Schema>> {
  const bytes = await readBounded(c.req.raw, bytesMax)
  if (bytes.byteLength > 0 && !isJson(c.req.header("content-type"))) {
    throw new AppError("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
  }
  const parsed = schema.safeParse(bytes.byteLength === 0 && isOptional ? {} : parseJson(bytes))
  if (parsed.success) return parsed.data
  throw new AppError("MALFORMED", `The body is not acceptable: ${faultOf(parsed.error)}.`)
}

/** Whether a `Content-Type` says JSON. */
export const isJson = (contentType: string | undefined): boolean =>
  /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(contentType ?? "")

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes))
  } catch {
    throw new AppError("MALFORMED", "The body is not JSON.")
  }
}

/** The first fault of what was given: where, and what was expected; a name of the caller's only when it is plain. */
export function faultOf({ issues }: z.ZodError): string {
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
