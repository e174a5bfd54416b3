import fc from "fast-check"
import { expect, test } from "vitest"
import { toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"
import { anyString } from "../../../test/support/any-string.ts"
import { decodeCursor, encodeCursor } from "./cursor.ts"

const at = new Date("2026-03-01T10:00:00.123Z")

const written = (value: unknown): string => toBase64Url(utf8(JSON.stringify(value)))

test("a cursor decodes to the row it was made from", () => {
  const id = 'payment_in_1 "ü" 😀'
  expect(decodeCursor(encodeCursor({ at, id }))).toEqual({ at, id })
  expect(decodeCursor(encodeCursor({ at: -4_900, id }))).toEqual({ at: -4_900, id })
})

test("a cursor has no character that a URL would encode", () => {
  expect(encodeCursor({ at, id: "a?b&c=d/e+f" })).toMatch(/^[A-Za-z0-9_-]+$/)
})

test.each([
  ["nothing", ""],
  ["no base64url", "a b"],
  ["no JSON", toBase64Url(utf8("{"))],
  ["no UTF-8", toBase64Url(Uint8Array.of(255, 254))],
  ["one part", written([at.toISOString()])],
  ["three parts", written([at.toISOString(), "a", "b"])],
  ["a number that is not whole", written([1.5, "a"])],
  ["a number beyond the exact ones", written([2 ** 53, "a"])],
  ["a time that is spelt otherwise", written(["2026-03-01", "a"])],
  ["a year that Postgres does not know", written(["0000-01-01T00:00:00.000Z", "a"])],
  ["a year beyond the calendar", written(["+275760-09-13T00:00:00.000Z", "a"])],
  ["no id", written([at.toISOString(), ""])],
  ["an id with a NUL", written([at.toISOString(), "a\0b"])],
  ["an id with half a character", toBase64Url(utf8(`["${at.toISOString()}","\\ud800"]`))],
  ["more than any cursor", written([at.toISOString(), "a".repeat(2_000)])],
])("%s is no cursor", (_, text) => {
  expect(decodeCursor(text)).toBeNull()
})

test("decoding a cursor never throws", () => {
  fc.assert(
    fc.property(anyString(), (text) => {
      decodeCursor(text)
    }),
  )
})
