import { Hono } from "hono"
import { describe, expect, test } from "vitest"
import * as z from "zod"
import { problem } from "../errors.ts"
import type { AppEnv } from "../services.ts"
import { currencyText, firstIssue, idText, isJson, pageFields, validId, validJson, validQuery } from "./request.ts"

test.each([
  ["application/json", true],
  ["application/json; charset=utf-8", true],
  ['APPLICATION/JSON;charset="UTF-8"', true],
  [undefined, false],
  ["", false],
  ["text/plain", false],
  ["application/jsonp", false],
  ["text/plain; application/json", false],
  ["application/json, text/plain", false],
  ["application/x-www-form-urlencoded", false],
])("content type %s", (contentType, expected) => {
  expect(isJson(contentType)).toBe(expected)
})

const page = z.strictObject(pageFields)

test("a page has fifty rows by default, and 200 at most", () => {
  expect(page.parse({})).toEqual({ limit: 50 })
  expect(page.parse({ limit: "200" }).limit).toBe(200)
  for (const limit of ["0", "201", "-1", "1.5", "1e2", " 5", "", "010", "many"]) {
    expect(page.safeParse({ limit }).success, limit).toBe(false)
  }
})

test("ids are text without control characters", () => {
  expect(idText.safeParse("payment_in_1").success).toBe(true)
  for (const id of ["", "a\0b", "a\r\nb", "\ud800", "a".repeat(401)]) expect(idText.safeParse(id).success).toBe(false)
})

test("a currency is any that amounts have, in lower case", () => {
  for (const code of ["usd", "EUR", "usdt", "WHOP_USD", "whop_usd"]) {
    expect(currencyText.parse(code)).toBe(code.toLowerCase())
  }
  for (const code of ["", "us", "dollars", "u$d", "usd_"]) expect(currencyText.safeParse(code).success).toBe(false)
})

const faultIn = (value: unknown, schema: z.ZodType): string => {
  const { error } = schema.safeParse(value)
  return error ? firstIssue(error) : "none"
}

test("a fault names the place and what was expected, never the value", () => {
  expect(faultIn({ limit: "999" }, page)).toBe("limit: expected at most 200")
  expect(faultIn({ foo: "secret" }, page)).toBe("foo is not known")
  expect(faultIn({ a: { b: 1 } }, z.strictObject({ a: z.strictObject({}) }))).toBe("a: b is not known")
})

test("a name that is not plain text is not repeated", () => {
  expect(faultIn({ "<script>alert(1)</script>": 1 }, page)).toBe("(unprintable) is not known")
})

describe("the input of a route", () => {
  const app = new Hono<AppEnv>()
    .get("/", validQuery(z.strictObject({ name: z.string().optional() })), (c) => c.json(c.req.valid("query")))
    .get("/things/:id", validId(), (c) => c.json(c.req.valid("param")))
    .post("/", validJson(z.strictObject({ name: z.string() }), { bytesMax: 20 }), (c) => c.json(c.req.valid("json")))
    .post("/optional", validJson(z.strictObject({ on: z.boolean().default(false) }), { isOptional: true }), (c) =>
      c.json(c.req.valid("json")),
    )
    .onError((error, c) => problem(c, error))

  const json = { "content-type": "application/json" }
  const ask = async (path: string, init?: RequestInit & { duplex?: "half" }) => {
    const response = await app.request(path, init)
    return [response.status, await response.json()]
  }
  const post = (body: NonNullable<RequestInit["body"]>, headers: Record<string, string> = json, path = "/") =>
    ask(path, { method: "POST", body, headers, duplex: "half" })
  const refused = (status: number, detail: string) => [status, expect.objectContaining({ status, detail })]

  test("a query parameter once, and a known one", async () => {
    expect(await ask("/?name=a")).toEqual([200, { name: "a" }])
    expect(await ask("/?name=a&name=b")).toEqual(refused(400, "The query parameter name is given more than once."))
    expect(await ask("/?other=1")).toEqual(refused(400, "The query is not acceptable: other is not known."))
  })

  test("an invalid id is not found", async () => {
    expect(await ask("/things/a")).toEqual([200, { id: "a" }])
    expect(await ask("/things/a%00b")).toEqual(refused(404, "There is nothing under this id."))
  })

  test("a body in JSON and UTF-8, uncompressed, with its content type", async () => {
    expect(await post('{"name":"é"}')).toEqual([200, { name: "é" }])
    const badText = new Uint8Array([0x7b, 0xff, 0x7d])
    expect(await post(badText)).toEqual(refused(400, "The body is not JSON."))
    expect(await post("{")).toEqual(refused(400, "The body is not JSON."))
    expect(await post("")).toEqual(refused(400, "The body is not JSON."))
    expect(await post('{"name":1}')).toEqual([400, expect.objectContaining({ code: "MALFORMED" })])
    expect(await post('{"name":"a"}', { "content-type": "text/plain" })).toEqual(
      refused(415, "The body must be application/json."),
    )
    expect(await post('{"name":"a"}', { ...json, "content-encoding": "gzip" })).toEqual(
      refused(415, "Compressed bodies are not accepted."),
    )
  })

  test("a bounded body, with or without content-length", async () => {
    const tooLarge = refused(413, "The body is larger than 20 bytes.")
    expect(await post(`{"name":"${"a".repeat(10)}"}`)).toEqual(tooLarge)
    const parts = (...texts: string[]) =>
      new ReadableStream({
        start(controller) {
          for (const text of texts) controller.enqueue(new TextEncoder().encode(text))
          controller.close()
        },
      })
    expect(await post(parts('{"name":"', "aaaaaaaaaaaaaa", '"}'))).toEqual(tooLarge)
    expect(await post(parts('{"name":', '"a"}'))).toEqual([200, { name: "a" }])
  })

  test("a missing optional body equals an empty object", async () => {
    expect(await ask("/optional", { method: "POST" })).toEqual([200, { on: false }])
    expect(await post("", json, "/optional")).toEqual([200, { on: false }])
    expect(await post('{"on":true}', json, "/optional")).toEqual([200, { on: true }])
    expect(await post("[]", json, "/optional")).toEqual([400, expect.objectContaining({ code: "MALFORMED" })])
  })
})
