import { expect, test } from "vitest"
import * as z from "zod"
import { faultOf, idText, isJson, pageFields } from "./request.ts"

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

test("a page holds fifty rows unless asked otherwise, and 200 at most", () => {
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

const faultIn = (value: unknown, schema: z.ZodType): string => {
  const { error } = schema.safeParse(value)
  return error ? faultOf(error) : "none"
}

test("a fault names the place and what was expected, never what was given", () => {
  expect(faultIn({ limit: "999" }, page)).toBe("limit: expected at most 200")
  expect(faultIn({ foo: "secret" }, page)).toBe("foo is not known")
  expect(faultIn({ a: { b: 1 } }, z.strictObject({ a: z.strictObject({}) }))).toBe("a: b is not known")
})

test("a name that is not plain is not repeated", () => {
  expect(faultIn({ "<script>alert(1)</script>": 1 }, page)).toBe("(unprintable) is not known")
})
