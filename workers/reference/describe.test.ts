import { readFileSync } from "node:fs"
import { Hono } from "hono"
import { describe, expect, test } from "vitest"
import * as z from "zod"
import { app } from "../app.ts"
import { inputOf } from "../platform/http/request.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { DESCRIBED } from "./answers/all.ts"
import { describeApi, routesOf } from "./describe.ts"
import { referencePage } from "./page.ts"
import { openApiJson } from "./route.ts"

const written = readFileSync(new URL("openapi.json", import.meta.url), "utf8")
const kept = JSON.parse(written)

test("openapi.json and openapi.ts are current (npm run openapi)", async () => {
  expect(kept).toEqual(JSON.parse(JSON.stringify(describeApi(app))))
  expect(openApiJson()).toBe(written)
})

const routes = [...routesOf(app)]

/** The operation of a route, with its references resolved. */
function operationText(name: string): string {
  const [method = "", path = ""] = name.split(" ")
  const operation = kept.paths[path.replaceAll(/:([A-Za-z]+)/g, "{$1}")]?.[method.toLowerCase()]
  const seen = new Set<string>()
  const follow = (value: unknown): string => {
    const text = JSON.stringify(value) ?? ""
    const refs = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, ref = ""]) => ref)
    const inner = refs.filter((ref) => !seen.has(ref) && seen.add(ref))
    return text + inner.map((ref) => follow(kept.components.schemas[ref])).join("")
  }
  return follow(operation)
}

/** The names of all fields in a zod schema, at any depth. */
function fieldsIn(schema: unknown, seen = new Set<unknown>()): readonly string[] {
  if (typeof schema !== "object" || schema === null || seen.has(schema)) return []
  seen.add(schema)
  if (Array.isArray(schema)) return schema.flatMap((part) => fieldsIn(part, seen))
  if (!(schema instanceof z.ZodType)) return Object.values(schema).flatMap((part) => fieldsIn(part, seen))
  const own = schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
  return [...own, ...Object.values(schema.def).flatMap((part) => fieldsIn(part, seen))]
}

test("fields are found at any depth", () => {
  const schema = z.union([z.object({ a: z.array(z.object({ b: z.string() }).nullable()) }), z.object({ c: z.int() })])
  expect(fieldsIn(schema.optional())).toEqual(["a", "b", "c"])
})

test.each(routes)("%s is described, with all inputs and answers", (name, handlers) => {
  const text = operationText(name)
  expect(text).not.toBe("")
  const inputs = handlers.flatMap(({ handler }) => inputOf(handler)?.schema ?? [])
  const answered = Object.values(DESCRIBED[name]?.answers ?? {}).flatMap(({ schema }) => schema ?? [])
  for (const field of [...inputs, ...answered].flatMap((schema) => fieldsIn(schema))) {
    expect(text, field).toContain(JSON.stringify(field))
  }
  for (const status of Object.keys(DESCRIBED[name]?.answers ?? {})) expect(text).toContain(`"${status}":{"description"`)
})

test("every description has a route", () => {
  const described = Object.entries(kept.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
  )
  expect(described.toSorted()).toEqual(routes.map(([name]) => name).toSorted())
})

test("references resolve, and operation ids are unique", () => {
  const text = JSON.stringify(kept)
  for (const [, ref = ""] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    expect(Object.keys(kept.components.schemas)).toContain(ref)
  }
  expect(text).not.toContain("$defs")
  const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

describe("the page", async () => {
  const services = { newId: () => "nonce-of-the-test" } as unknown as Services
  const page = await new Hono<AppEnv>()
    .get("/", (c) => {
      c.set("services", services)
      return referencePage(c, kept, {})
    })
    .request("/")
  const text = await page.text()

  test("contains every operation and every field", () => {
    for (const [path, methods] of Object.entries(kept.paths)) {
      for (const method of Object.keys(methods as object)) expect(text).toContain(`${method.toUpperCase()} ${path}`)
    }
    const fields = routes.flatMap(([name, handlers]) => [
      ...handlers.flatMap(({ handler }) => fieldsIn(inputOf(handler)?.schema)),
      ...fieldsIn(DESCRIBED[name]?.answers),
    ])
    for (const field of new Set(fields))
      expect(text, field).toMatch(new RegExp(`<code>${field}(?: \\(query\\)| \\(path\\))?</code>`))
  })

  test("has no script, no form and no external resource", () => {
    expect(text).not.toMatch(/<script|<form|<iframe|<img|<link|javascript:| on[a-z]+=| style=/i)
    expect([...text.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, target = ""]) => target)).toSatisfy(
      (targets: string[]) => targets.every((target) => target.startsWith("#") || target === "/api/openapi.json"),
    )
    expect(page.headers.get("content-security-policy")).toMatch(
      /^default-src 'none'; style-src 'nonce-nonce-of-the-test'; /,
    )
  })

  test("has only links that resolve", () => {
    const ids = new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))
    for (const [, target = ""] of text.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target)
  })
})
