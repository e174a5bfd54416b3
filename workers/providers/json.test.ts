import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { parseEventBody } from "./json.ts"

const parse = (text: string) => parseEventBody(new TextEncoder().encode(text))
const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`
const detailOf = (result: ReturnType<typeof parseEventBody>) => (result.ok ? null : result.error.detail)

describe("a body is parsed as JSON.parse would", () => {
  test("for every JSON object within the bounds", () => {
    const isExact = (value: unknown): boolean =>
      typeof value === "number"
        ? Math.abs(value) <= Number.MAX_SAFE_INTEGER
        : typeof value !== "object" || value === null || Object.values(value).every(isExact)
    const objects = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }), { noNullPrototype: true })
    fc.assert(
      fc.property(objects, (object) => {
        const text = JSON.stringify(object)
        fc.pre(isExact(object) && !text.includes("__proto__"))
        expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) })
      }),
    )
  })

  test("with NUL and lone surrogates kept in strings", () => {
    expect(parse('{"a":"\\u0000","b":"\\ud800"}')).toEqual({ ok: true, value: { a: "\0", b: "\ud800" } })
  })

  test("with brackets, colons and escaped quotes inside strings not counted", () => {
    const text = JSON.stringify({ a: '[{":"\\'.repeat(30_000) })
    expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) })
  })
})

describe("a body is refused", () => {
  test.each([
    ["an array", "[]"],
    ["a string", '"a"'],
    ["null", "null"],
    ["nothing", ""],
    ["a cut object", '{"a":1'],
    ["two objects", "{}{}"],
    ["a comment", "{}//"],
    ["NaN", '{"a":NaN}'],
  ])("that is %s", (_, text) => {
    expect(parse(text).ok).toBe(false)
  })

  test.each([
    ["a byte order mark", [0xef, 0xbb, 0xbf, 0x7b, 0x7d], "byte order mark"],
    ["an invalid byte", [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d], "not UTF-8"],
    ["an overlong encoding", [0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d], "not UTF-8"],
    ["an encoded surrogate", [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d], "not UTF-8"],
    ["UTF-16", [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00], "not UTF-8"],
  ])("with %s", (_, bytes, detail) => {
    expect(detailOf(parseEventBody(new Uint8Array(bytes)))).toContain(detail)
  })

  test("that nests deeper than 64, and not at 64", () => {
    expect(parse(nested(64)).ok).toBe(true)
    expect(detailOf(parse(nested(65)))).toContain("nests deeper")
  })

  test("with 200 000 nested arrays or objects, at once", () => {
    const started = performance.now()
    expect(detailOf(parse(`{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`))).toContain("nests deeper")
    expect(detailOf(parse('{"a":'.repeat(200_000)))).toContain("nests deeper")
    expect(performance.now() - started).toBeLessThan(500)
  })

  test("with more than 20 000 keys, and not at 20 000", () => {
    const withKeys = (count: number) => `{${Array.from({ length: count }, (_, i) => `"k${i}":0`).join()}}`
    expect(parse(withKeys(20_000)).ok).toBe(true)
    expect(detailOf(parse(withKeys(20_001)))).toContain("more than 20000 keys")
  })

  test.each([
    '{"__proto__":{"isAdmin":true}}',
    '{"a":[{"\\u005f_proto__":1}]}',
    '{"a":{"_\\u005Fproto\\u005f_":null}}',
  ])("with a key __proto__: %s", (text) => {
    expect(detailOf(parse(text))).toContain("forbidden key")
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined() // reads what would be on every object
  })

  test.each(["9007199254740992", "-9007199254740993", "1e999", "-1e999", "1e16", "9".repeat(400)])(
    "with a number that cannot be held exactly: %s",
    (number) => {
      expect(detailOf(parse(`{"a":[${number}]}`))).toContain("number")
    },
  )

  test.each(["9007199254740991", "-9007199254740991", "0.1", "1e15", "-0"])("but not with %s", (number) => {
    expect(parse(`{"a":${number}}`).ok).toBe(true)
  })

  test("without a word of the body in the reason", () => {
    expect(JSON.stringify(parse('{"email":"ann@example.com"'))).not.toContain("ann")
  })
})
