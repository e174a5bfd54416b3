/**
 * OpenAPI 3.1 of the Worker's routes. A route's inputs come from its validators, its roles from its permission, and its
 * answers from `answers/`. For the build only; not part of the Worker.
 */
import type { Hono } from "hono"
import * as z from "zod"
import { isAllowed, permissionOf, type Role } from "../platform/http/auth.ts"
import { inputOf } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { DESCRIBED } from "./answers/all.ts"
import { type Answer, type Described, problemDocument } from "./answers/common.ts"

type Json = { readonly [name: string]: unknown }
type Handlers = readonly { readonly handler: object }[]

const ROLES: readonly Role[] = ["success-analyst", "success-manager", "admin", "operator"]

/** Pages for people: no part of the API. */
const isPage = (path: string): boolean => path === "/dashboard" || path.startsWith("/dashboard/")

/** The routes of the API by method and path, without trailing slashes. */
export const routesOf = (app: Hono<AppEnv>): ReadonlyMap<string, Handlers> =>
  Map.groupBy(
    app.routes.filter(({ method, path }) => method !== "ALL" && !isPage(path)),
    ({ method, path }) => `${method} ${path.replace(/(?<=.)\/$/, "")}`,
  )

/** The description of an app. Throws for a route without a description, and for a description without a route. */
export function describeApi(app: Hono<AppEnv>): Json {
  const routes = routesOf(app)
  const unmatched = Object.keys(DESCRIBED).filter((name) => !routes.has(name))
  if (unmatched.length > 0) throw new Error(`described, but no route: ${unmatched.join(", ")}`)
  const shared: Record<string, unknown> = { Problem: schemaOf(problemDocument, "output", {}) }
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [name, handlers] of routes) {
    const described = DESCRIBED[name]
    if (described === undefined) throw new Error(`route without a description: ${name}`)
    const [method = "", path = ""] = name.split(" ")
    const place = path.replaceAll(/:([A-Za-z]+)/g, "{$1}")
    paths[place] = { ...paths[place], [method.toLowerCase()]: operationOf(name, described, handlers, shared) }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Churn Saver",
      version: "1",
      description: "Errors are problem documents (RFC 9457). The guide to this API is docs/API.md.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
      schemas: shared,
    },
  }
}

function operationOf(name: string, described: Described, handlers: Handlers, shared: Record<string, unknown>): Json {
  const [method = "", path = ""] = name.split(" ")
  const operationId = `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+(.)?/g, (_, next = "") => next.toUpperCase())}`
  const permission = handlers.map(({ handler }) => permissionOf(handler)).find((one) => one !== null) ?? null
  const inputs = handlers.flatMap(({ handler }) => inputOf(handler) ?? [])
  const read = (target: "param" | "query" | "json") => {
    const input = inputs.find((one) => one.target === target)
    return input && { ...input, json: schemaOf(input.schema, "input", shared) }
  }
  const [param, query, json] = [read("param"), read("query"), read("json")]
  const inPath = propertiesOf(param?.json ?? {})
  const inQuery = propertiesOf(query?.json ?? {})
  const names = [...path.matchAll(/:([A-Za-z]+)/g)].map(([, key = ""]) => key)
  const parameters = [
    ...names.map((key) => ({ name: key, in: "path", required: true, schema: inPath.get(key)?.schema ?? TEXT })),
    ...[...inQuery].map(([key, { schema, isRequired }]) => ({ name: key, in: "query", required: isRequired, schema })),
  ]
  return {
    operationId,
    summary: described.summary,
    ...(permission !== null && {
      description: `Needs the permission \`${permission}\`: ${ROLES.filter((role) => isAllowed(role, permission)).join(", ")}.`,
      security: [{ key: [] }],
    }),
    ...(parameters.length > 0 && { parameters }),
    ...(json && {
      requestBody: { required: !json.isOptional, content: { "application/json": { schema: json.json } } },
    }),
    ...(described.body !== undefined && { requestBody: { required: true, content: { [described.body]: {} } } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(described.answers).map(([status, answer]) => [status, responseOf(answer, status, shared)]),
      ),
      default: {
        description: "Problem document",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  }
}

const TEXT = { type: "string" }

function responseOf({ schema, type }: Answer, status: string, shared: Record<string, unknown>): Json {
  const description = status.startsWith("2") ? "Success" : status.startsWith("3") ? "Redirect" : "Error"
  if (schema !== undefined) {
    return { description, content: { "application/json": { schema: schemaOf(schema, "output", shared) } } }
  }
  return { description, ...(type !== undefined && { content: { [type]: {} } }) }
}

/** The fields of an object, or of all alternatives of a union. */
function propertiesOf(json: Json): ReadonlyMap<string, { readonly schema: unknown; readonly isRequired: boolean }> {
  const alternatives = (json.oneOf ?? json.anyOf ?? [json]) as readonly Json[]
  const found = new Map<string, { schema: unknown; isRequired: boolean }>()
  for (const alternative of alternatives) {
    const required = (alternative.required ?? []) as readonly string[]
    for (const [name, schema] of Object.entries((alternative.properties ?? {}) as Json)) {
      const known = found.get(name)
      const isRequired = required.includes(name)
      found.set(name, known ? { schema: { anyOf: [known.schema, schema] }, isRequired } : { schema, isRequired })
    }
  }
  return found
}

/**
 * The JSON Schema of a zod schema. Schemas with an id are stored in `shared`; one with defaults differs as input and as
 * output, and has two names.
 */
function schemaOf(schema: z.ZodType, io: "input" | "output", shared: Record<string, unknown>): Json {
  const made: unknown = z.toJSONSchema(z.object({ schema }), {
    ...{ io, unrepresentable: "any", reused: "inline" },
    override: ({ jsonSchema }) => {
      // Zod adds the bounds of JSON's integers, which are not ours.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  // Zod's type only states that the fields of a schema are schemas.
  const { $defs = {}, properties } = made as {
    readonly $defs?: Readonly<Record<string, Json>>
    readonly properties: { readonly schema: Json }
  }
  const names = new Map(Object.keys($defs).map((id) => [id, id]))
  const moved = (json: Json): Json =>
    JSON.parse(
      JSON.stringify(withoutId(json)).replaceAll(
        /"#\/\$defs\/([^"]+)"/g,
        (_, id: string) => `"#/components/schemas/${names.get(id) ?? id}"`,
      ),
    )
  for (const [id, json] of Object.entries($defs)) {
    const isOther = shared[id] !== undefined && JSON.stringify(shared[id]) !== JSON.stringify(moved(json))
    if (isOther) names.set(id, `${id}${io === "input" ? "Input" : "Output"}`)
  }
  for (const [id, json] of Object.entries($defs)) shared[names.get(id) ?? id] = moved(json)
  return moved(properties.schema)
}

/** Zod repeats the id in the schema, where JSON Schema has no such keyword. */
const withoutId = ({ id: _, ...json }: Json): Json => json
