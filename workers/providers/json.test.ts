import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { parseEventBody } from "./json.ts"

const parse = (text: string) => parseEventBody(new TextEncoder().encode(text))
const nested = (depth: number) => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`
const detailOf = (result: ReturnType<typeof parseEventBody>) => (result.ok ? null : result.error.detail)

describe("a body is parsed as by JSON.parse", () => {
  test("for every JSON object within the bounds", () => {
    const objects = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }), { noNullPrototype: true })
    fc.assert(
      fc.property(objects, (object) => {
        const text = JSON.stringify(object)
        fc.pre(!text.includes("__proto__"))
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

  test.each(["9007199254740992", "-9007199254740993", "805978396974514206", "1.5e300", "1e999", "0.1", "-0"])(
    "with a number such as %s in a field that is not read",
    (number) => {
      expect(parse(`{"id":"evt_1","a":[${number}]}`)).toEqual({ ok: true, value: { id: "evt_1", a: [Number(number)] } })
    },
  )
})

describe("a body is rejected", () => {
  test.each([
    ["an array", "[]"],
    ["a string", '"a"'],
    ["null", "null"],
    ["nothing", ""],
    ["a cut object", '{"a":1'],
    ["two objects", "{}{}"],
    ["a comment", "{}//"],
    ["NaN", '{"a":NaN}'],
    ["an object that closes a list too many", `{"a":${"[".repeat(100)}${"]".repeat(101)}}`],
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

  test("without quoting the body in the reason", () => {
    expect(JSON.stringify(parse('{"email":"ann@example.com"'))).not.toContain("ann")
  })
})

describe("values beyond the bounds are removed, and the rest stays", () => {
  const depthOf = (value: unknown): number =>
    typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
  const contentOf = (text: string) => {
    const parsed = parse(text)
    if (!parsed.ok) throw new Error(parsed.error.detail)
    // biome-ignore lint/suspicious/noExplicitAny: parsed JSON, whose shape each test knows
    return parsed.value as any
  }
  const keys = (count: number, value = "0") =>
    Array.from({ length: count }, (_, i) => `"k${i}":${value}`).join() || '"k":0'

  test("nesting deeper than 64, and not at 64", () => {
    expect(parse(nested(64))).toEqual({ ok: true, value: JSON.parse(nested(64)) })
    expect(depthOf(contentOf(nested(65)))).toBe(64)
  })

  test.each([
    ["arrays", `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)},"id":"evt_1"}`],
    ["objects", `{"a":${'{"a":'.repeat(150_000)}0${"}".repeat(150_000)},"id":"evt_1"}`],
  ])("200 000 nested %s, at once and without a deep stack", (_, text) => {
    const started = performance.now()
    const value = contentOf(text)
    expect(performance.now() - started).toBeLessThan(3_000)
    expect(value.id).toBe("evt_1")
    expect(depthOf(value)).toBe(64)
    expect(JSON.stringify(value).length).toBeLessThan(1_000)
  })

  test("a map of more than 2 000 keys below the object, at any place", () => {
    const event = contentOf(`{"data":{"object":{"metadata":{${keys(2_001)}},"few":{${keys(2_000)}},"id":"in_1"}}}`)
    expect(event).toMatchObject({ data: { object: { metadata: null, few: { k1999: 0 }, id: "in_1" } } })
  })

  test("but no key of the event, of `data` and of the object", () => {
    const event = contentOf(`{${keys(30_000)},"data":{${keys(30_000)},"object":{${keys(30_000)},"id":"in_1"}}}`)
    expect(event).toMatchObject({ k29999: 0, data: { k29999: 0, object: { k29999: 0, id: "in_1" } } })
  })

  test("containers after 20 000 keys", () => {
    const wide = Array.from({ length: 30 }, (_, i) => `"m${i}":{${keys(1_000, "{}")}}`).join()
    const { m0, m29, id } = contentOf(`{"data":{"object":{${wide},"id":"in_1"}}}`).data.object
    expect([id, m0.k0, m29.k999]).toEqual(["in_1", {}, null])
  })

  test("items of a list beyond 5 000", () => {
    expect(contentOf(`{"a":[${"0,".repeat(9_000)}0]}`)).toMatchObject({ a: { length: 5_000 } })
  })

  test.each([
    '{"__proto__":{"isAdmin":true}}',
    '{"a":[{"\\u005f_proto__":1}]}',
    '{"a":{"_\\u005Fproto\\u005f_":null}}',
  ])("a key __proto__: %s", (text) => {
    expect(JSON.stringify(contentOf(text))).not.toContain("__proto__")
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined() // reads what would be on every object
  })
})
